"""Finds the cracks in a reduced photograph, in a fraction of the time, to show them until it is inspected."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.overlay import reduced
from crack_lightning.inference.sources import Photograph
from crack_lightning.project.project import OVERLAY_PX
from crack_lightning.runs.inspection.inspection import Inspection
from crack_lightning.runs.inspection.photograph_files import folder_of, write_small

MIN_PIXELS = 4_000_000  # a smaller photograph is inspected so fast that a first look is not worth it
MAX_REDUCED_PIXELS = 3_000_000  # pixels of the reduced photograph


def first_look(photograph: Photograph, run: Path, inspection: Inspection) -> dict[str, Any] | None:
    """Returns the size of a photograph and the lines of its cracks, in its own pixels, and writes its reduced picture.

    Returns None for a photograph that is small or cannot be read; its inspection reports the error. The reduced picture
    is written into the photograph's folder in `run`.
    """
    try:
        image = read_image(photograph.path, megapixels=inspection.options.max_megapixels)
    except (OSError, ValueError):
        return None
    if image.width * image.height < MIN_PIXELS:
        return None
    write_small(folder_of(run, photograph), reduced(image, OVERLAY_PX))
    factor = int(np.ceil(np.sqrt(image.width * image.height / MAX_REDUCED_PIXELS)))
    size, small = image.size, image.reduce(factor)
    del image
    return {"width": size[0], "height": size[1], "lines": _lines(small, factor, inspection)}


def _lines(small: Image.Image, factor: int, inspection: Inspection) -> list[list[float]]:
    """Returns the lines of cracks in `small`, enlarged by `factor`; each line is a flat list x, y, x, y, ..."""
    heat = inspection.reader.heat(inspection.reader.scaled(small, inspection.scale))
    cracks = cracks_of(heat, np.asarray(small.convert("L")), inspection.decision.threshold)
    return [np.round(line * factor).ravel().tolist() for crack in cracks for line in crack.lines]
