"""What is found in one photograph, and its files: from what was read of it and its heat map, fresh or kept."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning.data.images.reading import read_picture
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.crack_maps import LEAST_PX, followed
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import reduced
from crack_lightning.inference.photographs import WindowScale, check_brought, check_enlarged
from crack_lightning.inference.regions import Region, regions
from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.scale import Scale
from crack_lightning.models.crack_map import CrackMap, Network
from crack_lightning.runs.inspection import photograph_files as files
from crack_lightning.runs.inspection.inspected import (
    Inspected,
    MadeOf,
    Marks,
    grid_of,
    known_scale,
    picture_of,
)
from crack_lightning.runs.inspection.inspection import Inspection
from crack_lightning.runs.inspection.measuring import Measured, sums_of
from crack_lightning.runs.inspection.photograph_files import MEASURED

log = logging.getLogger(__name__)
PLAIN = 0.5  # deviation of grey levels below which a photograph shows nothing


@dataclass(frozen=True)
class ReadPhotograph:
    """A photograph as it was read: reduced to be shown, its grey levels (h, w), its scale, what could not be done of
    what was asked for, and what else is to be said of it."""

    photograph: Photograph
    small: Image.Image
    grey: np.ndarray
    scale: Scale | None
    fault: str
    note: str


def read_photograph(
    photograph: Photograph, inspection: Inspection, *, mapped: bool = True
) -> tuple[ReadPhotograph, Any]:
    """The photograph, and what the reader needs to map it: None unless it is to be `mapped`.

    Raises ValueError for one that cannot be read.
    """
    options = inspection.options
    picture = read_picture(photograph.path, megapixels=options.max_megapixels)
    image, notes = picture.image, [picture.doubt, further(picture.pages)]
    grey = np.asarray(image.convert("L"))
    scale, fault = inspection.measuring.scale_of(photograph, grey)
    windows = inspection.brought(scale)
    small = too_small(image.size, inspection.classifier, windows, megapixels=options.max_megapixels)
    note = "; ".join(filter(None, [*notes, fault, small, empty(grey)]))
    if note:
        log.warning("%s: %s", photograph.path, note)
    pictures = inspection.reader.scaled(image, windows) if mapped else None
    return ReadPhotograph(photograph, reduced(image, options.overlay_px), grey, scale, fault, note), pictures


def write_findings(seen: ReadPhotograph, heat: Heat, folder: Path, inspection: Inspection) -> Inspected:
    """What `heat` marks in the photograph, measured; its files are written into `folder`, but for the last one."""
    threshold, shortest_px = inspection.decision.threshold, inspection.measuring.shortest_px(seen.scale)
    least_px = shortest_px if heat.tile_px is None else max(shortest_px, LEAST_PX)
    found_at = regions(heat if heat.tile_px is None else followed(heat, threshold), threshold)
    marked = [region for region in found_at if region.length_px >= least_px]
    measured = None
    if heat.tile_px is not None:
        cracks = cracks_of(heat, seen.grey, threshold, shortest_px=shortest_px)
        measured = inspection.measuring.measured(cracks, seen.scale)
    found = _inspected(seen, heat, marked, inspection, measured)
    verdict = "review" if seen.note and found.verdict == "sound" else found.verdict
    found = replace(found, verdict=verdict, note=seen.note, fault=seen.fault, scale=known_scale(seen.scale))
    files.write_photograph(folder, seen.small, seen.grey, heat, marked, found, measured)
    return found


def _inspected(
    seen: ReadPhotograph, heat: Heat, marked: Sequence[Region], inspection: Inspection, measured: Measured | None
) -> Inspected:
    photograph, threshold = seen.photograph, inspection.decision.threshold
    review = bool(inspection.decision.needs_review(heat.probability).any())
    longest = max((region.length_px for region in marked), default=0.0)
    height, width = heat.size_hw
    share, file = min(1.0, sum(region.area_px for region in marked) / (height * width)), photograph.path.stat()
    largest = [] if measured else [[each.length_px, each.area_px, each.peak] for each in marked[:MEASURED]]
    return Inspected(
        name=photograph.name,
        path=str(photograph.path),
        verdict="cracked" if marked or (measured and measured.records) else "review" if review else "sound",
        width_px=width,
        height_px=height,
        marks=Marks(float(heat.probability.max()), share, len(marked), longest, largest),
        cracks=None if measured is None else sums_of(measured, MEASURED),
        grid=grid_of(heat),
        made_of=MadeOf("", "", file.st_size, file.st_mtime_ns, threshold, picture_of(photograph.path, seen.grey)),
    )


def empty(grey: np.ndarray) -> str:
    """What is to be said of a photograph in which nothing is to be seen."""
    counts, levels = np.array(Image.fromarray(grey).histogram(), np.float64), np.arange(256.0)  # no copy of the whole
    mean = (counts * levels).sum() / counts.sum()
    deviation = float(np.sqrt((counts * (levels - mean) ** 2).sum() / counts.sum()))
    return "of one colour: there is nothing to see in it" if deviation < PLAIN else ""


def too_small(size: tuple[int, int], network: Network, scale: WindowScale, *, megapixels: float) -> str:
    """What is to be said of a photograph of too few pixels. Raises UserError for one that would be too large scaled."""
    if isinstance(network, CrackMap):
        check_brought(size, scale, megapixels=megapixels)
        text = f"%d x %d pixels are less than {LEAST_PX} each way, too few for a crack to be followed"
        return text % size if max(size) < LEAST_PX else ""
    check_enlarged(size, scale, network.image_size, megapixels=megapixels)
    text = "%d x %d pixels are less than half a window of %.0f each way, too few to judge; check mm_per_px, tile_px"
    return text % (*size, scale.window_px) if max(size) < scale.window_px / 2 else ""


def further(pages: int) -> str:
    """What is to be said of a file of several pages."""
    return "" if pages < 2 else f"page 1 of {pages}: the others are not looked at, save each as a file"
