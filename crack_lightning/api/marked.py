"""A photograph in which cracks were marked: numbers, a picture, and the files of `crack inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning.api.notebook import picture_html, table_html
from crack_lightning.api.returned import InspectionRun
from crack_lightning.api.run_context import results_folder
from crack_lightning.data.images.formats import png
from crack_lightning.errors import UserError
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import crack_overlay, overlay
from crack_lightning.inference.regions import Region
from crack_lightning.inference.sources import check_output_folder
from crack_lightning.measurement.record import CrackFacts, CrackRecord, figure_of
from crack_lightning.runs.inspection.further_formats import check_formats
from crack_lightning.runs.inspection.inspected import kept_inspected, levels_hash, same_picture, write_done
from crack_lightning.runs.inspection.inspection import Inspection
from crack_lightning.runs.inspection.method import method_of
from crack_lightning.runs.inspection.options import check_named
from crack_lightning.runs.inspection.photograph_files import folder_of, key_of
from crack_lightning.runs.inspection.photograph_findings import Findings, ReadPhotograph, write_findings
from crack_lightning.runs.inspection.summary import write_summary
from crack_lightning.system.files import write_atomically
from crack_lightning.system.names import plural

SHOWN_MM = ("id", "length_mm", "width_mm", "width_max_mm", "width_below_mm", "width_class")
SHOWN_PX_COLUMNS = ("id", "length_px", "width_px", "width_max_px", "width_below_px")
ORIGINAL = "original.png"  # a picture that was in memory, beside its results


@dataclass(frozen=True, eq=False)
class MarkedCrack(CrackFacts):
    """A crack, with the numbers of cracks.csv: lengths and widths in pixels of the upright photograph, and in
    millimetres where the scale is known.

    `width_mm` is the median along the crack, `width_max_mm` its widest place, `width_uncertainty_mm` the deviation of
    the median; where no width can be claimed these are None and `width_below_mm` is what it is less than.
    `lines_xy` are arrays (n, 2), x and y in pixels, one for each branch; `lines_mm` the same on the surface;
    `widths_px` (n,) the width at every point of all lines, NaN where none is claimed.
    """

    lines_xy: tuple[np.ndarray, ...] = field(default=(), repr=False)
    lines_mm: tuple[np.ndarray, ...] | None = field(default=None, repr=False)
    widths_px: np.ndarray | None = field(default=None, repr=False)
    _figure: str = field(default="", repr=False)

    @property
    def polyline_xy(self) -> np.ndarray:
        """Returns the line (n, 2) with the most points, x and y in pixels of the upright photograph."""
        return max(self.lines_xy, key=len)

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """Returns left, top, right and bottom of all lines, in pixels."""
        points = np.concatenate(self.lines_xy)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return left, top, right, bottom

    def __str__(self) -> str:
        return self._figure


@dataclass(frozen=True, eq=False)
class Marked:
    """A photograph in which cracks were marked.

    `verdict` is cracked, review or sound. `size_hw` is the height and width in pixels. `cracks` are sorted: the likely
    ones come first, then marks that are probably no cracks (`likely` is false). The map's `probability` is float32 in
    0..1: by a crack map (h/4, w/4), a value for each cell of four pixels; by a classifier a value for each window. A
    classifier gives no lines: `cracks` is empty then, and `regions` are what it marks. `note` is what a reader of the
    result must know. It prints as one line, and shows itself in a notebook as a picture with a table.
    """

    name: str
    verdict: str
    size_hw: tuple[int, int]
    mm_per_px: float | None
    threshold: float
    cracks: tuple[MarkedCrack, ...]
    regions: tuple[Region, ...] = field(repr=False)
    probability: np.ndarray = field(repr=False)
    note: str
    _read: ReadPhotograph = field(repr=False)
    _heat: Heat = field(repr=False)
    _findings: Findings = field(repr=False)
    _inspection: Inspection = field(repr=False)
    _in_memory: np.ndarray | None = field(repr=False)

    def table(self) -> list[dict[str, Any]]:
        """Returns a row for each crack, with the columns of cracks.csv: pandas.DataFrame(marked.table()) takes it."""
        return [crack_row(crack) for crack in self.cracks]

    def overlay(self) -> Image.Image:
        """Returns the photograph with its cracks as numbered lines in the colours of their width classes, or with the
        heat map and regions of a classifier; its longer side has at most `overlay_px` pixels, by default 2,000."""
        small, measured = self._read.small, self._findings.measured
        if measured is None:
            return overlay(small, self._heat, self.regions, mm_per_px=self.mm_per_px)
        return crack_overlay(small, measured.records, measured.classes, self.size_hw, mm_per_px=self.mm_per_px)

    def save(self, out: str | Path, *, formats: Sequence[str] | str = (), image_prefix: str = "") -> InspectionRun:
        """Writes the files of `crack inspect` into the folder `out`: report.html, cracks.csv, and in photographs/
        overlay.png, cracks.geojson and the map. `formats` are dxf, coco, label_studio, word.

        Raises UserError where `out` holds the results of other photographs.
        """
        formats = [formats] if isinstance(formats, str) else list(formats)
        check_named(formats)
        check_formats(formats, measured=self._findings.measured is not None)
        inspection = self._inspection
        given = {"image": self.name, "formats": formats, "image_prefix": image_prefix}
        with results_folder("mark", out, given, None) as run:
            self._check_alone(run)
            folder, photograph = folder_of(run, self._read.photograph), self._read.photograph
            if self._in_memory is not None:
                write_atomically(folder / ORIGINAL, png(Image.fromarray(self._in_memory)))
                photograph = replace(photograph, path=folder / ORIGINAL)
            findings = replace(self._findings, inspected=replace(self._findings.inspected, path=str(photograph.path)))
            inspected = write_findings(replace(self._read, photograph=photograph), self._heat, findings, folder)
            key, map_key = (key_of(photograph, settings) for settings in (inspection.settings, inspection.map_settings))
            made_of = replace(inspected.made_of, key=key, map_key=map_key)
            inspected = replace(inspected, made_of=made_of)
            write_done(folder, inspected)
            method = method_of(inspection.options, inspection.classifier, inspection.decision, inspection.scale)
            classes = inspection.measuring.classes
            write_summary(run, [inspected], method, classes, formats, image_prefix=image_prefix)
        return InspectionRun(run, (inspected,))

    def _check_alone(self, run: Path) -> None:
        own = folder_of(run, self._read.photograph)
        check_output_folder(run, [self._read.photograph])
        kept = kept_inspected(own, self._read.photograph)
        if kept is not None and not same_picture(kept.made_of.picture.rpartition("-")[2], levels_hash(self._read.grey)):
            raise UserError(f"{run} holds the results of another picture called {self.name}: give another out")
        others = [path.parent for path in (run / "photographs").rglob("inspection.json") if path.parent != own]
        if others or (not own.exists() and (run / "inspection.csv").exists()):
            raise UserError(f"{run} holds the results of other photographs: give another out, or use inspect for all")

    def __str__(self) -> str:
        if self._findings.measured is None:
            return f"{self.name}: {self.verdict}, {plural(len(self.regions), 'marked region')}"
        unit = "px" if self.mm_per_px is None else "mm"
        likely = [crack for crack in self.cracks if crack.likely]
        length = sum(getattr(crack, f"length_{unit}") or 0 for crack in likely)
        widths = [width for crack in likely if (width := getattr(crack, f"width_max_{unit}")) is not None]
        widest = f", the widest {max(widths):.2f} {unit}" if widths else ""
        others = len(self.cracks) - len(likely)
        unlikely = f", and {plural(others, 'mark')} that are probably none" if others else ""
        cracks = f"{plural(len(likely), 'crack')} of {length:.0f} {unit} in all{widest}{unlikely}"
        return f"{self.name}: {self.verdict}, {cracks}"

    def _repr_html_(self) -> str:
        names = SHOWN_PX_COLUMNS if self.mm_per_px is None else SHOWN_MM
        rows = [{name: getattr(crack, name) for name in names} for crack in self.cracks]
        return f"<p>{escape(str(self))}</p>{picture_html(self.overlay())}{table_html(rows)}"


def crack_row(crack: MarkedCrack) -> dict[str, Any]:
    """Returns the numbers of a crack, by the names of the columns of cracks.csv."""
    return {column.name: getattr(crack, column.name) for column in fields(CrackFacts)}


def public_crack(record: CrackRecord) -> MarkedCrack:
    """Returns the public record of a crack."""
    lines_mm = None if record.lines_mm is None else tuple(record.lines_mm)
    return MarkedCrack(
        **asdict(record.facts()),
        lines_xy=tuple(record.lines),
        lines_mm=lines_mm,
        widths_px=record.along_px,
        _figure=figure_of(record),
    )


def marked_photograph(
    read: ReadPhotograph, heat: Heat, findings: Findings, inspection: Inspection, in_memory: np.ndarray | None
) -> Marked:
    """Returns the `Marked` of a photograph; `in_memory` are its pixels where it has no file."""
    inspected, measured = findings.inspected, findings.measured
    return Marked(
        name=inspected.name,
        verdict=inspected.verdict,
        size_hw=heat.size_hw,
        mm_per_px=inspected.mm_per_px,
        threshold=inspection.decision.threshold,
        cracks=() if measured is None else tuple(map(public_crack, measured.records)),
        regions=tuple(findings.regions),
        probability=heat.probability,
        note=inspected.note,
        _read=read,
        _heat=heat,
        _findings=findings,
        _inspection=inspection,
        _in_memory=in_memory,
    )
