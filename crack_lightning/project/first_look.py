"""Finds the cracks of a photograph at half its size, in a quarter of the time, to show until it is inspected."""

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

WORTH_PIXELS = 4_000_000  # smaller photographs are inspected as fast
MOST_PIXELS = 3_000_000  # of the reduced photograph


def first_look(photograph: Photograph, run: Path, inspection: Inspection) -> dict[str, Any] | None:
    """Returns size and lines of a photograph, in its own pixels, and writes its reduced picture into its folder; None
    where it is small, or cannot be read, which its inspection will report."""
    try:
        image = read_image(photograph.path, megapixels=inspection.options.max_megapixels)
    except (OSError, ValueError):
        return None
    if image.width * image.height < WORTH_PIXELS:
        return None
    write_small(folder_of(run, photograph), reduced(image, OVERLAY_PX))
    factor = int(np.ceil(np.sqrt(image.width * image.height / MOST_PIXELS)))
    size, small = image.size, image.reduce(factor)
    del image
    return {"width": size[0], "height": size[1], "lines": _lines(small, factor, inspection)}


def _lines(small: Image.Image, factor: int, inspection: Inspection) -> list[list[float]]:
    """Returns lines as flat lists of x and y."""
    heat = inspection.reader.heat(inspection.reader.scaled(small, inspection.scale))
    cracks = cracks_of(heat, np.asarray(small.convert("L")), inspection.decision.threshold)
    return [np.round(line * factor).ravel().tolist() for crack in cracks for line in crack.lines]
