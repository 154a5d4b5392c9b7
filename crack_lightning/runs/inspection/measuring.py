"""Measures the cracks of a photograph: determines their scale, width classes and the shortest length reported."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.classes import WidthClasses, width_classes
from crack_lightning.measurement.cracks import Crack
from crack_lightning.measurement.record import CrackRecord, figure_of, is_crack, records_of
from crack_lightning.measurement.scale import Scale
from crack_lightning.runs.inspection.inspected import CrackSums
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.inspection.scales import PICTURE_SCALES, Scales, scales_of
from crack_lightning.system.files import content_hash, expanded


@dataclass(frozen=True)
class Measured:
    """The cracks of a photograph, the record that is reported for each, their scale and the width classes."""

    cracks: Sequence[Crack]
    records: Sequence[CrackRecord]
    scale: Scale | None
    classes: WidthClasses

    @property
    def likely(self) -> list[CrackRecord]:
        """Returns the records of the first view, without marks that are probably no cracks."""
        return [record for record in self.records if record.likely]


def sums_of(measured: Measured, most: int) -> CrackSums:
    """Returns the number and total length of the likely cracks, the figures of the `most` longest, and the number of
    other marks."""
    likely = [record for record in measured.likely if is_crack(record.kind)]
    lengths_mm = [record.length_mm for record in likely if record.length_mm is not None]
    return CrackSums(
        len(likely),
        sum(record.length_px for record in likely),
        None if measured.scale is None else sum(lengths_mm),
        [figure_of(record) for record in likely[:most]],
        len(measured.records) - len(measured.likely),
    )


@dataclass(frozen=True)
class Measuring:
    """Measures cracks. `scales` finds the scale of a photograph; `settings` is a text of everything here that
    changes results and is not an option of `inspect`, such as the content of a table."""

    scales: Scales
    classes: WidthClasses
    options: InspectOptions
    settings: str

    def scale_of(self, photograph: Photograph, grey: np.ndarray) -> tuple[Scale | None, str]:
        """Returns the scale of a photograph with grey levels (h, w), or None; and a text on why it is missing or
        doubtful, empty otherwise."""
        return self.scales.of(photograph.path, photograph.name, grey)

    def shortest_px(self, scale: Scale | None) -> float:
        """Returns the length in pixels below which regions and cracks are not reported."""
        min_mm = self.options.min_length_mm
        converted_px = 0.0 if min_mm is None or scale is None else min_mm / scale.mm_per_px
        return max(self.options.min_length_px or 0.0, converted_px)

    def measured(self, cracks: Sequence[Crack], scale: Scale | None) -> Measured:
        """Returns the cracks of a photograph with the record that is reported for each."""
        return Measured(cracks, records_of(cracks, scale, self.classes), scale, self.classes)


def measuring_of(options: InspectOptions, photographs: Sequence[Photograph] = ()) -> Measuring:
    """Reads the table of scales for the photographs, and checks the width classes. Raises UserError or OSError."""
    scales, classes = scales_of(options, photographs), width_classes(options.width_classes)
    is_table = options.scale is not None and options.scale not in PICTURE_SCALES
    table = content_hash(expanded(str(options.scale)).absolute()) if is_table else options.scale
    settings = [table, *sorted(scales.doubtful), options.marker_mm, options.distance_m, dataclasses.astuple(classes)]
    return Measuring(scales, classes, options, str(settings))
