"""Opens a checkpoint and prepares what inspects photographs with it: reader, decision, window scale, measuring."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from PIL import Image

from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.patches import pick_device
from crack_lightning.inference.photographs import (
    PhotographReader,
    WindowScale,
    window_px,
    zoom_of,
)
from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.scale import Scale
from crack_lightning.models.crack_map import CrackMap, Network, is_map
from crack_lightning.models.decision import Decision
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.models.mark_judge import MarkJudge
from crack_lightning.models.package_map import package_facts
from crack_lightning.runs.inspection.further_formats import check_formats
from crack_lightning.runs.inspection.measuring import Measuring, measuring_of
from crack_lightning.runs.inspection.method import unscaled
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.system.files import content_hash, expanded

log = logging.getLogger(__name__)

TILE_PX = 227.0  # side of the tiles in tiles.csv for a crack map, which has no windows


class Reader(Protocol):
    """Computes the map of a photograph in two steps, so that the photograph can be freed between them: `heat` takes
    what `scaled` returns."""

    classifier: Any

    def scaled(self, image: Image.Image, scale: WindowScale) -> Any: ...
    def heat(self, pictures: Any) -> Heat: ...


@dataclass(frozen=True)
class Inspection:
    """Everything that photographs are inspected with. `reader` computes maps, `decision` says what their probabilities
    mean, `scale` is the scale of windows, `measuring` measures cracks, and `content` is a hash of the checkpoint."""

    reader: Reader
    decision: Decision
    scale: WindowScale
    measuring: Measuring
    options: InspectOptions
    content: str

    @property
    def map_settings(self) -> str:
        """Returns a text of everything but the photograph that changes its map."""
        options = self.options
        zooming = [] if self.map_mm_per_px is None else [options.mm_per_px, self.measuring.settings]
        return f"{self.content}:{self.scale.window_px}:{[options.windows, options.scales, *zooming]}"

    @property
    def settings(self) -> str:
        """Returns a text of everything but the photograph that changes its results."""
        options = self.options
        results = [options.threshold, options.mm_per_px, options.overlay_px, options.min_length_px]
        return f"{self.map_settings}:{[*results, options.min_length_mm, self.measuring.settings]}"

    @property
    def judge(self) -> MarkJudge | None:
        """Returns what judges whole marks; None for a classifier and for a map without it."""
        return self.classifier.judge if isinstance(self.classifier, CrackMap) else None

    @property
    def is_map(self) -> bool:
        """Returns whether the network is a crack map, which marks cells, not a classifier, which judges windows."""
        return is_map(self.classifier)

    @property
    def map_mm_per_px(self) -> float | None:
        """Returns the mm per pixel to which the map zooms photographs of known scale; None if it does not zoom."""
        return self.classifier.mm_per_px if self.is_map else None

    @property
    def classifier(self) -> Network:
        network: Network = self.reader.classifier
        return network

    def window_scale_for(self, scale: Scale | None) -> WindowScale:
        """Returns the scale of windows. A map that knows its training scale zooms photographs of known scale to it."""
        if scale is None or self.map_mm_per_px is None:
            return self.scale
        return replace(self.scale, zoom=zoom_of(scale.mm_per_px, trained=self.map_mm_per_px))

    def at(self, *, threshold: float) -> "Inspection":
        """Returns the same inspection with another threshold; kept maps stay valid."""
        options = replace(self.options, threshold=threshold)
        measuring = replace(self.measuring, options=options)
        decision = replace(self.decision, threshold=threshold)
        return replace(self, decision=decision, measuring=measuring, options=options)


def inspection_of(options: InspectOptions, photographs: Sequence[Photograph] = ()) -> Inspection:
    """Opens the checkpoint and prepares the inspection of the photographs. Raises UserError or OSError if it cannot."""
    network = load_network(options.ckpt_path).to(pick_device(options.device))
    return inspection_by(reader_of(network, options), content_of(options.ckpt_path), options, photographs)


def inspection_by(
    reader: Reader, content: str, options: InspectOptions, photographs: Sequence[Photograph] = ()
) -> Inspection:
    """Prepares the inspection of photographs with an open reader; `content` is the hash of its checkpoint.

    Raises UserError or OSError for options that do not suit the checkpoint.
    """
    network: Network = reader.classifier
    decision = network.marking_decision
    if options.threshold is not None:
        decision = replace(decision, threshold=options.threshold)
    measuring = measuring_of(options, photographs)
    check_formats(options.formats, measured=is_map(network))
    return Inspection(reader, decision, window_scale_of(network, options), measuring, options, content)


def content_of(ckpt_path: str | None) -> str:
    """Returns a hash of the checkpoint's content; for None, a hash of the facts about the package's map."""
    if ckpt_path is None:
        return hashlib.sha256(repr(package_facts()).encode()).hexdigest()
    return content_hash(expanded(ckpt_path).absolute())


def reader_of(network: Network, options: InspectOptions) -> Reader:
    """Returns the reader that maps photographs with the network. Raises UserError for a crack map with options for
    windows."""
    if not isinstance(network, CrackMap):
        windows, memory_mb = options.windows, options.memory_mb
        return PhotographReader(network, engine=options.engine, windows=windows, memory_mb=memory_mb)
    if options.windows != "auto" or options.scales != [1.0]:
        raise UserError("windows and scales apply to classifiers only: leave them out for a crack map")
    return CrackMapReader(network, engine=options.engine, memory_mb=options.memory_mb)


def window_scale_of(network: Network, options: InspectOptions) -> WindowScale:
    """Returns the scale of a classifier's windows, or of the tiles in tiles.csv for a crack map. Raises UserError for a
    scale that is out of range."""
    if isinstance(network, CrackMap):
        if options.mm_per_px is not None and network.mm_per_px is not None:
            zoom_of(options.mm_per_px, trained=network.mm_per_px)  # raises before the first photograph
        return WindowScale(options.tile_px or TILE_PX)
    if unscaled(network, options):
        log.warning("the checkpoint does not know its training scale: photographs are not adapted to it")
    return WindowScale(window_px(network, tile_px=options.tile_px, mm_per_px=options.mm_per_px), options.scales)
