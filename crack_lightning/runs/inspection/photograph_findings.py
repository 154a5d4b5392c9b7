"""Finds the marks in one photograph from its map, which is fresh or kept, and writes the photograph's files."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning.data.images.reading import Picture, read_picture
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.grouping import LEAST_PX, keep_cracks
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import reduced
from crack_lightning.inference.photographs import WindowScale, check_enlarged, check_zoomed_size
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
from crack_lightning.runs.inspection.photograph_files import FIGURES_SHOWN

log = logging.getLogger(__name__)
PLAIN_DEVIATION = 0.5  # a photograph whose grey levels have a smaller standard deviation shows nothing


@dataclass(frozen=True)
class ReadPhotograph:
    """A photograph that was read: reduced for the report (`small`), its grey levels (h, w) at full size, its scale.

    `fault` says which request could not be met. `note` is everything that the reader must know, the fault included.
    """

    photograph: Photograph
    small: Image.Image
    grey: np.ndarray
    scale: Scale | None
    fault: str
    note: str


@dataclass(frozen=True)
class Findings:
    """The findings about a photograph: its row, the marked regions, and its cracks if they were `measured`."""

    inspected: Inspected
    regions: Sequence[Region]
    measured: Measured | None


def read_photograph(
    photograph: Photograph, inspection: Inspection, *, mapped: bool = True
) -> tuple[ReadPhotograph, Any]:
    """Reads a photograph; returns it and what the reader needs to map it, None unless `mapped`.

    Raises ValueError if it cannot be read.
    """
    picture = read_picture(photograph.path, megapixels=inspection.options.max_megapixels)
    return prepare_photograph(picture, photograph, inspection, mapped=mapped)


def prepare_photograph(
    picture: Picture, photograph: Photograph, inspection: Inspection, *, mapped: bool = True
) -> tuple[ReadPhotograph, Any]:
    """Returns the same as `read_photograph`, for a picture in memory. The file of `photograph` is opened only for its
    EXIF data, if the scale depends on them."""
    options = inspection.options
    image, notes = picture.image, [picture.doubt, note_on_pages(picture.pages)]
    grey = np.asarray(image.convert("L"))
    scale, fault = inspection.measuring.scale_of(photograph, grey)
    windows = inspection.window_scale_for(scale)
    size_note = note_on_size(image.size, inspection.classifier, windows, megapixels=options.max_megapixels)
    note = "; ".join(filter(None, [*notes, fault, size_note, note_on_one_colour(grey)]))
    if note:
        log.warning("%s: %s", photograph.path, note)
    pictures = inspection.reader.scaled(image, windows) if mapped else None
    return ReadPhotograph(photograph, reduced(image, options.overlay_px), grey, scale, fault, note), pictures


def findings_of(read: ReadPhotograph, heat: Heat, inspection: Inspection) -> Findings:
    """Returns the marks that `heat` gives in the photograph, measured. Reads and writes no file."""
    threshold, shortest_px = inspection.decision.threshold, inspection.measuring.shortest_px(read.scale)
    least_px = shortest_px if heat.tile_px is None else max(shortest_px, LEAST_PX)
    candidates = regions(heat if heat.tile_px is None else keep_cracks(heat, threshold), threshold)
    marked = [region for region in candidates if region.length_px >= least_px]
    measured = None
    if heat.tile_px is not None:
        cracks = cracks_of(heat, read.grey, threshold, shortest_px=shortest_px, judge=inspection.judge)
        measured = inspection.measuring.measured(cracks, read.scale)
    return Findings(_inspected(read, heat, marked, inspection, measured), marked, measured)


def write_findings(
    read: ReadPhotograph, heat: Heat, findings: Findings, folder: Path, *, map_kept: bool = False
) -> Inspected:
    """Writes the files of a photograph into `folder`, except for inspection.json, and except for the map where that is
    `map_kept`; returns its row, completed by the facts that identify the inspected file."""
    path, inspected = read.photograph.path, findings.inspected
    stat, picture = path.stat(), picture_of(path, read.grey)
    made_of = replace(inspected.made_of, file_bytes=stat.st_size, file_mtime_ns=stat.st_mtime_ns, picture=picture)
    inspected = replace(inspected, made_of=made_of)
    given = read.small, read.grey, heat, findings.regions, inspected, findings.measured
    files.write_photograph(folder, *given, map_kept=map_kept)
    return inspected


def _inspected(
    read: ReadPhotograph, heat: Heat, marked: Sequence[Region], inspection: Inspection, measured: Measured | None
) -> Inspected:
    photograph, threshold = read.photograph, inspection.decision.threshold
    needs_review = bool(read.note) or bool(inspection.decision.needs_review(heat.probability).any())
    longest = max((region.length_px for region in marked), default=0.0)
    height, width = heat.size_hw
    share = min(1.0, sum(region.area_px for region in marked) / (height * width))
    largest = [] if measured else [[mark.length_px, mark.area_px, mark.peak] for mark in marked[:FIGURES_SHOWN]]
    return Inspected(
        name=photograph.name,
        path=str(photograph.path),
        verdict=_verdict(marked, measured, needs_review=needs_review),
        width_px=width,
        height_px=height,
        note=read.note,
        fault=read.fault,
        marks=Marks(float(heat.probability.max()), share, len(marked), longest, largest),
        cracks=None if measured is None else sums_of(measured, FIGURES_SHOWN),
        scale=known_scale(read.scale),
        grid=grid_of(heat),
        made_of=MadeOf(threshold=threshold),
    )


def _verdict(marked: Sequence[Region], measured: Measured | None, *, needs_review: bool) -> str:
    """Returns the verdict on a photograph: marks that are probably no cracks call for a review, no more."""
    unlikely_alone = measured is not None and bool(measured.records) and not measured.likely
    if not unlikely_alone and (marked or (measured is not None and measured.records)):
        return "cracked"
    return "review" if needs_review or unlikely_alone else "sound"


def note_on_one_colour(grey: np.ndarray) -> str:
    """Returns a note if the photograph has only one colour, else an empty text."""
    # From the histogram, since np.std copies the photograph.
    counts, levels = np.array(Image.fromarray(grey).histogram(), np.float64), np.arange(256.0)
    mean = (counts * levels).sum() / counts.sum()
    deviation = float(np.sqrt((counts * (levels - mean) ** 2).sum() / counts.sum()))
    return "the photograph has only one colour: nothing can be seen in it" if deviation < PLAIN_DEVIATION else ""


def note_on_size(size: tuple[int, int], network: Network, scale: WindowScale, *, megapixels: float) -> str:
    """Returns a note if the photograph has too few pixels, else an empty text. Raises UserError if scaling would make
    it too large."""
    if isinstance(network, CrackMap):
        check_zoomed_size(size, scale, megapixels=megapixels)
        text = f"%d x %d pixels are less than {LEAST_PX} each way, too few to follow a crack"
        return text % size if max(size) < LEAST_PX else ""
    check_enlarged(size, scale, network.image_size, megapixels=megapixels)
    text = "%d x %d pixels are less than half a window of %.0f each way, too few to judge; check mm_per_px, tile_px"
    return text % (*size, scale.window_px) if max(size) < scale.window_px / 2 else ""


def note_on_pages(pages: int) -> str:
    """Returns a note if the file has several pages, else an empty text."""
    return "" if pages < 2 else f"only page 1 of {pages} was inspected: save the other pages as files of their own"
