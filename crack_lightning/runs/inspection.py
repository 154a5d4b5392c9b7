"""Whole photographs to heat maps, regions and a report."""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from crack_lightning.data.images.reading import read_picture, reason
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import LEAST_PX, CrackMapReader, followed
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.lines import cracks_of
from crack_lightning.inference.overlay import reduced
from crack_lightning.inference.patches import pick_device
from crack_lightning.inference.photographs import (
    PhotographReader,
    Scale,
    window_px,
    zoom_of,
)
from crack_lightning.inference.regions import Region, regions
from crack_lightning.inference.sources import Photograph, check_not_among, find_photographs, tell_left_out
from crack_lightning.measurement.scale import Scale as Millimetres
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CrackMap, Network, package_facts
from crack_lightning.models.decision import Decision
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs import photograph_files as files
from crack_lightning.runs.formats import check_formats
from crack_lightning.runs.measuring import Measured, Measuring, facts_of, measuring_of
from crack_lightning.runs.method import method_of, unscaled
from crack_lightning.runs.notes import empty, further, too_small
from crack_lightning.runs.options import InspectOptions
from crack_lightning.runs.photograph_files import MEASURED, Inspected, grid_facts
from crack_lightning.runs.summary import counted, write_summary
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import content_hash, expanded, is_full
from crack_lightning.system.interrupts import ctrl_c_says
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

TILE_PX = 227.0  # side of the tiles of tiles.csv where no classifier has windows

Listener = Callable[[Inspected, int, int], None]  # a photograph that is done, how many are, of how many


class Reader(Protocol):
    """What makes the map of a photograph, in two steps: what `scaled` gives takes less memory than the photograph."""

    classifier: Any

    def scaled(self, image: Image.Image, scale: Scale) -> Any: ...
    def heat(self, pictures: Any) -> Heat: ...


@dataclass(frozen=True)
class Inspection:
    """What inspects one photograph after the other: the network, what its probabilities mean, the scale of windows, how
    cracks are measured, the options, and what results depend on."""

    reader: Reader
    decision: Decision
    scale: Scale
    measuring: Measuring
    options: InspectOptions
    settings: str

    @property
    def classifier(self) -> Network:
        """The network that is asked."""
        network: Network = self.reader.classifier
        return network


def inspection_of(options: InspectOptions) -> Inspection:
    """Open the checkpoint and make its map ready. Raises UserError or OSError where that cannot be."""
    network = load_network(options.ckpt_path)
    network.to(pick_device(options.device))
    decision = network.cell_decision if isinstance(network, CrackMap) else network.decision
    if options.threshold is not None:
        decision = replace(decision, threshold=options.threshold)
    measuring = measuring_of(options)
    check_formats(options.formats, measured=isinstance(network, CrackMap))
    results = [options.windows, options.scales, options.threshold, options.mm_per_px, options.overlay_px]
    results += [options.min_length_px, options.min_length_mm, measuring.settings]
    reader, scale = _by_map(network, options) if isinstance(network, CrackMap) else _by_windows(network, options)
    settings = f"{_content(options.ckpt_path)}:{scale.window_px}:{results}"
    return Inspection(reader, decision, scale, measuring, options, settings)


def _content(ckpt_path: str | None) -> str:
    if ckpt_path is None:
        return hashlib.sha256(repr(package_facts()).encode()).hexdigest()
    return content_hash(expanded(ckpt_path).absolute())


def _by_map(network: CrackMap, options: InspectOptions) -> tuple[Reader, Scale]:
    if options.windows != "auto" or options.scales != [1.0]:
        raise UserError("windows and scales are of a classifier's windows: leave them out for a crack map")
    reader = CrackMapReader(network, engine=options.engine, memory_mb=options.memory_mb)
    if options.mm_per_px is not None and network.mm_per_px is not None:
        zoom_of(options.mm_per_px, trained=network.mm_per_px)  # refused before the first photograph
    return reader, Scale(options.tile_px or TILE_PX)


def _by_windows(classifier: CrackClassifier, options: InspectOptions) -> tuple[Reader, Scale]:
    side_px = window_px(classifier, tile_px=options.tile_px, mm_per_px=options.mm_per_px)
    reader = PhotographReader(classifier, engine=options.engine, windows=options.windows, memory_mb=options.memory_mb)
    if unscaled(classifier, options):
        log.warning("the checkpoint does not know the scale that it was trained at: photographs are not brought to it")
    return reader, Scale(side_px, options.scales)


def inspect_photographs(options: InspectOptions, folder: Path, listener: Listener | None = None) -> list[Inspected]:
    """Mark the cracks in photographs; the report, the table and the files of each are written into `folder`.

    What went wrong with a photograph is in its `error`. `listener` hears of each as soon as it is done. Raises
    UserError or OSError where nothing can be inspected, and OSError for a full disk.
    """
    source = find_photographs(options.source)
    check_not_among(folder, source.photographs)
    tell_left_out(source)
    inspection = inspection_of(options)
    count = len(source.photographs)
    part = "tile" if isinstance(inspection.classifier, CrackMap) else "window"
    log.info("%d photographs; a %s is %.0f pixels of them", count, part, inspection.scale.window_px)
    found: list[Inspected] = []
    with ctrl_c_says(lambda: f"go on with {typed('hydra.run.dir', str(folder))}"):
        for photograph in track(source.photographs, "inspecting", total=count, unit="photographs"):
            found.append(inspect_photograph(photograph, folder, inspection))
            if listener is not None:
                listener(found[-1], len(found), count)
    everything = [*found, *map(files.unread, source.unread)]
    method = method_of(options, inspection.classifier, inspection.decision, inspection.scale)
    write_summary(folder, everything, method, inspection.measuring.classes, options.formats)
    log.info("%s: %s", counted(found), folder / "report.html")
    return found


def inspect_photograph(photograph: Photograph, run: Path, inspection: Inspection) -> Inspected:
    """The findings of one photograph, and its files; whatever goes wrong with it is its row. A full disk raises."""
    folder = files.folder_of(run, photograph)
    try:
        key = files.key_of(photograph, inspection.settings)
        return files.done_before(folder, key) or _inspected(photograph, folder, key, inspection)
    except Exception as error:
        if is_full(error):
            raise
        return _failed(photograph, error)


def _inspected(photograph: Photograph, folder: Path, key: str, inspection: Inspection) -> Inspected:
    started_s, options = time.perf_counter(), inspection.options
    picture = read_picture(photograph.path, megapixels=options.max_megapixels)
    image, notes = picture.image, [picture.doubt, further(picture.pages)]
    grey = np.asarray(image.convert("L"))
    scale, fault = inspection.measuring.scale_of(photograph, grey)
    windows = _brought(inspection, scale)
    notes += [
        fault,
        too_small(image.size, inspection.classifier, windows, megapixels=options.max_megapixels),
        empty(grey),
    ]
    note = "; ".join(filter(None, notes))
    if note:
        log.warning("%s: %s", photograph.path, note)
    pictures, small = inspection.reader.scaled(image, windows), reduced(image, options.overlay_px)
    del image, picture  # of a large photograph most of the memory
    heat = inspection.reader.heat(pictures)
    threshold, shortest_px = inspection.decision.threshold, inspection.measuring.shortest_px(scale)
    least_px = shortest_px if heat.tile_px is None else max(shortest_px, LEAST_PX)
    found_at = regions(heat if heat.tile_px is None else followed(heat, threshold), threshold)
    marked = [region for region in found_at if region.length_px >= least_px]
    measured = None
    if heat.tile_px is not None:
        cracks = cracks_of(heat, grey, threshold, shortest_px=shortest_px)
        measured = inspection.measuring.measured(cracks, scale)
    found = _findings(photograph, heat, marked, inspection, measured)
    verdict = "review" if note and found.verdict == "sound" else found.verdict
    found = replace(found, verdict=verdict, note=note, fault=fault, key=key, seconds=time.perf_counter() - started_s)
    found = replace(found, **facts_of(scale))
    files.write_photograph(folder, small, grey, heat, marked, found, measured)
    return found


def _brought(inspection: Inspection, scale: Millimetres | None) -> Scale:
    """The scale of windows; a map that knows the scale of its training takes a photograph of known scale at that."""
    network = inspection.classifier
    if scale is None or not isinstance(network, CrackMap) or network.mm_per_px is None:
        return inspection.scale
    return replace(inspection.scale, zoom=zoom_of(scale.mm_per_px, trained=network.mm_per_px))


def _failed(photograph: Photograph, error: Exception) -> Inspected:
    """The row of a photograph that was not inspected, with the reason and the remedy."""
    if isinstance(error, ValueError):
        text = str(error)
    elif isinstance(error, OSError):
        text = f"{photograph.path} cannot be read: {reason(error)}"
    else:
        text = f"{photograph.path} cannot be inspected: {type(error).__name__}: {error}"
        log.debug("", exc_info=error)
    text = text if str(photograph.path) in text else f"{photograph.path}: {text}"
    log.error("%s", text)
    return Inspected(photograph.name, str(photograph.path), "error", error=text)


def _findings(
    photograph: Photograph, heat: Heat, marked: Sequence[Region], inspection: Inspection, measured: Measured | None
) -> Inspected:
    peak = float(heat.probability.max())
    review = bool(inspection.decision.needs_review(heat.probability).any())
    longest = max((region.length_px for region in marked), default=0.0)
    height, width = heat.size_hw
    file = photograph.path.stat()
    return Inspected(
        name=photograph.name,
        path=str(photograph.path),
        verdict="cracked" if marked or (measured and measured.records) else "review" if review else "sound",
        peak=peak,
        share=min(1.0, sum(region.area_px for region in marked) / (height * width)),
        regions=len(marked),
        longest_px=longest,
        cracks=None if measured is None else len(measured.records),
        height_px=height,
        file_bytes=file.st_size,
        file_mtime_ns=file.st_mtime_ns,
        width_px=width,
        heat_map=None if isinstance(inspection.classifier, CrackMap) else grid_facts(heat),
        crack_map=grid_facts(heat) if isinstance(inspection.classifier, CrackMap) else None,
        measured=[] if measured else [[each.length_px, each.area_px, each.peak] for each in marked[:MEASURED]],
        **({} if measured is None else measured.totals(MEASURED)),
    )
