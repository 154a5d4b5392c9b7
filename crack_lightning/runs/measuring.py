"""How the cracks of a photograph are measured: by which scale, in which classes, from which length on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.classes import WidthClasses, width_classes
from crack_lightning.measurement.cracks import Crack
from crack_lightning.measurement.record import CrackRecord, records_of
from crack_lightning.measurement.scale import Scale
from crack_lightning.runs.options import InspectOptions
from crack_lightning.runs.scales import Scales, scales_of
from crack_lightning.system.files import content_hash, expanded


@dataclass(frozen=True)
class Measured:
    """The cracks of a photograph, what is reported of each, by which scale and in which classes."""

    cracks: Sequence[Crack]
    records: Sequence[CrackRecord]
    scale: Scale | None
    classes: WidthClasses


@dataclass(frozen=True)
class Measuring:
    """Where scales come from, the classes of widths, the options, and what else results depend on."""

    scales: Scales
    classes: WidthClasses
    options: InspectOptions
    settings: str

    def scale_of(self, photograph: Photograph, grey: np.ndarray) -> tuple[Scale | None, str]:
        """Of a photograph with grey levels (h, w); None, and why, where what was asked for is not there."""
        try:
            return self.scales.of(photograph.path, photograph.name, grey), ""
        except UserError as error:
            return None, f"measured in pixels alone: {error}"

    def shortest_px(self, scale: Scale | None) -> float:
        """Length from which on a region or a crack is reported."""
        least_mm = self.options.min_length_mm
        of_mm = 0.0 if least_mm is None or scale is None else least_mm / scale.mm_per_px
        return max(self.options.min_length_px or 0.0, of_mm)

    def measured(self, cracks: Sequence[Crack], scale: Scale | None) -> Measured:
        """What is reported of the cracks of a photograph."""
        return Measured(cracks, records_of(cracks, scale, self.classes), scale, self.classes)

    def facts(self, scale: Scale | None) -> dict[str, Any]:
        """For inspection.json."""
        if scale is None:
            return {}
        return {"mm_per_px": scale.mm_per_px, "scale": scale.source, "scale_deviation": scale.deviation}


def measuring_of(options: InspectOptions) -> Measuring:
    """Read the table of scales, and check the classes. Raises UserError or OSError."""
    scales, classes = scales_of(options), width_classes(options.width_classes)
    table = content_hash(expanded(options.scale).absolute()) if options.scale and scales.table else options.scale
    settings = [table, options.marker_mm, options.distance_m, dataclasses.astuple(classes)]
    return Measuring(scales, classes, options, str(settings))
