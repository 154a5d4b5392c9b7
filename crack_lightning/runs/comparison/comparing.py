"""Compares two inspections of one structure: aligns photographs of the same place, and finds changes of cracks."""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.images.reading import read_image
from crack_lightning.errors import UserError
from crack_lightning.measurement.alignment import Alignment, Keypoints, align, corners_of, detect_keypoints, warped
from crack_lightning.measurement.changes import changes_of
from crack_lightning.measurement.record import is_crack
from crack_lightning.measurement.resolution import SAME_RESOLUTION, View, ViewedCrack
from crack_lightning.measurement.scale import MAX_DISAGREEMENT
from crack_lightning.runs.comparison.comparison_files import ComparedPlace, write_comparison
from crack_lightning.runs.comparison.options import CompareOptions
from crack_lightning.runs.inspection.crack_files import CRACKS_JSON, kept_records
from crack_lightning.runs.inspection.inspected import DONE, READ_ERRORS, Inspected, inspected_from
from crack_lightning.system.files import expanded
from crack_lightning.system.names import plural
from crack_lightning.system.progress import track
from crack_lightning.system.tables import read_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InspectedPlace:
    """A photograph of an inspection: its results, and the folder of its files."""

    inspected: Inspected
    folder: Path

    @property
    def name(self) -> str:
        """Returns the name of the photograph in the run."""
        return self.inspected.name

    @property
    def size(self) -> tuple[int, int]:
        """Returns the width and height of the photograph in pixels."""
        return self.inspected.width_px, self.inspected.height_px

    @property
    def mm_per_px(self) -> float | None:
        """Returns millimetres per pixel; None where the scale is not known."""
        return self.inspected.mm_per_px

    def report_picture(self) -> Image.Image:
        """Reads the copy of the photograph that the report of its run shows, which may be smaller."""
        return read_image(self.folder / "photograph.jpg")

    def grey_levels(self) -> np.ndarray:
        """Returns the grey levels (h, w) of the inspected file or, if it changed, of the report's copy at its size."""
        path = Path(self.inspected.path)
        if self.inspected.file_unchanged(path) or (self.inspected.made_of.picture and path.is_file()):
            with suppress(UserError):
                grey = np.asarray(read_image(path).convert("L"))
                if self.inspected.is_same_picture(path, grey):
                    return grey
        log.warning("%s is no longer the picture that was inspected: the copy in %s is used", path, self.folder)
        return np.asarray(self.report_picture().convert("L").resize(self.size, Image.Resampling.BICUBIC))

    def view(self) -> View:
        """Returns the grey levels and the likely cracks of the photograph. Raises UserError if its files disagree."""
        cracks = []
        records = kept_records(self.folder)
        sums, others = self.inspected.cracks, sum(record.likely and not is_crack(record.kind) for record in records)
        if sums is not None and sums.number + sums.unlikely + others != len(records):
            raise UserError(
                f"{self.folder} has {len(records)} cracks in {CRACKS_JSON}, but another number in {DONE}: inspect again"
            )
        for record in (record for record in records if record.likely):
            widths_px = np.full(sum(map(len, record.lines)), np.nan) if record.along_px is None else record.along_px
            claimed = record.width_px.uncertainty if np.isfinite(widths_px).any() else None
            cracks.append(ViewedCrack(record.number, record.lines, widths_px, claimed))
        return View(self.grey_levels(), cracks)


def compare_runs(options: CompareOptions, folder: Path) -> int:
    """Writes comparison.csv, report.html and pictures/ into `folder`; returns how many photographs have no counterpart.

    Raises UserError or OSError for a folder that is not a run of `inspect`, or has no photograph with measured cracks.
    """
    if (folder / "inspection.csv").exists():
        raise UserError(f"{folder} holds an inspection, whose report would be overwritten: give another out=FOLDER")
    before, after = (_read_places(key, run) for key, run in (("before", options.before), ("after", options.after)))
    log.info("%d photographs before, %d after", len(before), len(after))
    places = [*before, *after]
    tracked = track(places, "looking for points", total=len(places), unit="photographs")
    points = {id(place): _find_points(place) for place in tracked}
    compared, refused = list[ComparedPlace](), list[tuple[str, str]]()
    matched = set[str]()
    for later in track(after, "comparing", total=len(after), unit="photographs"):
        match, reason = _find_counterpart(later, before, points)
        if match is None:
            log.warning("%s: %s", later.name, reason)
            refused.append((later.name, reason))
            continue
        earlier, alignment = match
        matched.add(earlier.name)
        try:
            compared.append(_compare_places(earlier, later, alignment))
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.warning("%s: its files cannot be read: %s", later.name, error)
            refused.append((later.name, f"its files or those of {earlier.name} cannot be read: inspect it again"))
    refused += [
        (place.name, "before, and no later photograph was compared with it")
        for place in before
        if place.name not in matched
    ]
    write_comparison(folder, compared, refused)
    changed = sum(change.kind != "unchanged" for place in compared for change in place.changes)
    done = plural(len(compared), "photograph"), plural(changed, "crack")
    log.info("%s compared, %s changed: %s", *done, folder / "report.html")
    if unlikely := sum(place.inspected.cracks.unlikely for place in after if place.inspected.cracks):
        log.info("left out after: %s that are probably no cracks, see cracks.csv there", plural(unlikely, "mark"))
    return len(refused)


def _find_points(place: InspectedPlace) -> Keypoints:
    try:
        return detect_keypoints(place.report_picture())
    except (ValueError, OSError) as error:
        raise UserError(f"{place.folder} is damaged ({error}): inspect that photograph again") from error


def _read_places(key: str, run_folder: str) -> list[InspectedPlace]:
    """Returns the photographs with measured cracks in the run of option `key`. Raises UserError if there are none."""
    run = expanded(run_folder)
    if not run.is_dir():
        raise UserError(f"{key}={run} is not a folder: give the run folder of an inspection")
    places, table = [], run / "inspection.csv"
    folders = {row["folder"] for row in read_table(table, ("path", "folder"), key=key)} if table.is_file() else set()
    if outside := [name for name in folders if not (run / name).resolve().is_relative_to(run.resolve())]:
        raise UserError(f"{key}: {table} names the folder {outside[0]}, which is not in {run}: inspect again")
    for path in sorted(run / folder / DONE for folder in folders if folder and (run / folder / DONE).is_file()):
        try:
            inspected = inspected_from(json.loads(path.read_text("utf-8", errors="surrogateescape")))
        except READ_ERRORS as error:
            raise UserError(f"{key}: {path} is damaged: run the inspection into {run} again") from error
        if (path.parent / CRACKS_JSON).is_file():
            places.append(InspectedPlace(inspected, path.parent))
    if not places:
        raise UserError(
            f"{key}={run} holds no photographs whose cracks were measured: give the run folder of "
            "`crack inspect` by a crack map"
        )
    return places


def _find_counterpart(
    later: InspectedPlace, before: Sequence[InspectedPlace], points: dict[int, Keypoints]
) -> tuple[tuple[InspectedPlace, Alignment] | None, str]:
    """Returns the earlier photograph of the same place with its alignment, or None and the reason why there is none.

    A photograph of the same name is tried first and, if it can be aligned, taken.
    """
    best: tuple[InspectedPlace, Alignment] | None = None
    reason = "no photograph before shows that place"
    stem = later.name.rpartition(".")[0]
    # An equal name comes first, then a name that differs in its extension only.
    differences = [(place.name != later.name, place.name.rpartition(".")[0] != stem) for place in before]
    for (_, renamed), earlier in sorted(zip(differences, before, strict=True), key=lambda pair: pair[0]):
        try:
            alignment = _at_full_size(align(points[id(earlier)], points[id(later)]), earlier, later)
        except UserError as error:
            reason = f"not aligned with {earlier.name}: {error}" if not renamed or not best else reason
            continue
        if best is None or alignment.points > best[1].points:
            best = earlier, alignment
        if not renamed:
            break
    return best, reason


def _at_full_size(alignment: Alignment, earlier: InspectedPlace, later: InspectedPlace) -> Alignment:
    """Converts an alignment between the pictures in the reports to pixels of the photographs."""
    scales = [
        np.diag([*(np.array(place.report_picture().size) / np.array(place.size)), 1.0]) for place in (earlier, later)
    ]
    return Alignment(np.linalg.inv(scales[1]) @ alignment.matrix @ scales[0], alignment.points)


def _agreed_scale(earlier: InspectedPlace, later: InspectedPlace, alignment: Alignment) -> float | None:
    """Returns millimetres per pixel of the later photograph; None if the two scales contradict the alignment."""
    if earlier.mm_per_px is None or later.mm_per_px is None:
        return later.mm_per_px
    expected = earlier.mm_per_px / alignment.enlargement_at(corners_of(earlier.size))
    if abs(expected / later.mm_per_px - 1) <= MAX_DISAGREEMENT:
        return later.mm_per_px
    text = "%s: its %.4g mm per pixel contradict the %.4g that follow from %s: compared in pixels alone"
    log.warning(text, later.name, later.mm_per_px, expected, earlier.name)
    return None


def _compare_places(earlier: InspectedPlace, later: InspectedPlace, alignment: Alignment) -> ComparedPlace:
    view_before, view_after = earlier.view(), later.view()
    enlargement = alignment.enlargement_at(corners_of(earlier.size))
    if not SAME_RESOLUTION <= enlargement <= 1 / SAME_RESOLUTION:
        finer, ratio = (later, enlargement) if enlargement > 1 else (earlier, 1 / enlargement)
        log.info("%s: %s has %.3g times as many pixels per side, and is reduced", later.name, finer.name, ratio)
    changes = changes_of(view_before, view_after, alignment)
    later_picture, earlier_picture = later.report_picture(), earlier.report_picture()
    factors = earlier_picture.width / earlier.size[0], later_picture.width / later.size[0]
    warped_picture = warped(earlier_picture, alignment, factors, later_picture.size)
    scale = _agreed_scale(earlier, later, alignment)
    return ComparedPlace(
        earlier.name,
        later.name,
        alignment.points,
        changes,
        warped_picture,
        later_picture,
        factors[1],
        scale,
        {crack.number: crack.lines for crack in view_after.cracks},
        {crack.number: [alignment.moved(line) for line in crack.lines] for crack in view_before.cracks},
    )
