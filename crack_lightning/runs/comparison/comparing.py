"""Two inspections of one place: photographs matched and aligned, and what became of their cracks."""

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
from crack_lightning.measurement.alignment import Alignment, Described, aligned, corners_of, described, warped
from crack_lightning.measurement.changes import changes_of
from crack_lightning.measurement.resolution import SAME, View, ViewedCrack
from crack_lightning.measurement.scale import DISAGREE
from crack_lightning.runs.comparison.comparison_files import ComparedPlace, write_comparison
from crack_lightning.runs.comparison.options import CompareOptions
from crack_lightning.runs.inspection.crack_files import CRACKS_JSON, kept_records
from crack_lightning.runs.inspection.inspected import DAMAGED, DONE, Inspected, inspected_from
from crack_lightning.system.files import expanded
from crack_lightning.system.progress import track
from crack_lightning.system.tables import read_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InspectedPlace:
    """A photograph of a run: what was found in it, and the folder of its files."""

    inspected: Inspected
    folder: Path

    @property
    def name(self) -> str:
        """As the run calls it."""
        return self.inspected.name

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.inspected.width_px, self.inspected.height_px

    @property
    def mm_per_px(self) -> float | None:
        """None where the scale is not known."""
        return self.inspected.mm_per_px

    def shown(self) -> Image.Image:
        """As the run shows it."""
        return read_image(self.folder / "photograph.jpg")

    def grey(self) -> np.ndarray:
        """Levels (h, w) of the file where it still holds that picture, else of the run's picture at its size."""
        path = Path(self.inspected.path)
        if self.inspected.is_of_file(path) or (self.inspected.made_of.picture and path.is_file()):
            with suppress(UserError):
                grey = np.asarray(read_image(path).convert("L"))
                if self.inspected.is_of(path, grey):
                    return grey
        log.warning("%s is no longer the picture that was inspected: that in %s is used", path, self.folder)
        return np.asarray(self.shown().convert("L").resize(self.size, Image.Resampling.BICUBIC))

    def place(self) -> View:
        """Its grey levels and its cracks."""
        cracks = []
        records = kept_records(self.folder)
        if self.inspected.cracks is not None and self.inspected.cracks.number != len(records):
            raise UserError(
                f"{self.folder} has {len(records)} cracks in one file and another number in {DONE}: inspect it again"
            )
        for record in records:
            widths_px = np.full(sum(map(len, record.lines)), np.nan) if record.along_px is None else record.along_px
            claimed = record.width_px.uncertainty if np.isfinite(widths_px).any() else None
            cracks.append(ViewedCrack(record.number, record.lines, widths_px, claimed))
        return View(self.grey(), cracks)


def compare_runs(options: CompareOptions, folder: Path) -> int:
    """Write comparison.csv, report.html and pictures/ into `folder`; how many photographs have no counterpart.

    Raises UserError or OSError for what is no run of `inspect`, or holds no photograph with cracks measured.
    """
    if (folder / "inspection.csv").exists():
        raise UserError(f"{folder} holds an inspection, whose report would be overwritten: give another hydra.run.dir")
    before, after = (_photographs(key, given) for key, given in (("before", options.before), ("after", options.after)))
    log.info("%d photographs before, %d after", len(before), len(after))
    points = {id(each): _described(each) for each in (*before, *after)}
    compared, refused = list[ComparedPlace](), list[tuple[str, str]]()
    met = set[str]()
    for later in track(after, "comparing", total=len(after), unit="photographs"):
        found, reason = _counterpart(later, before, points)
        if found is None:
            log.warning("%s: %s", later.name, reason)
            refused.append((later.name, reason))
            continue
        earlier, alignment = found
        met.add(earlier.name)
        try:
            compared.append(_compared(earlier, later, alignment))
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.warning("%s: its files cannot be read: %s", later.name, error)
            refused.append((later.name, f"its files or those of {earlier.name} cannot be read: inspect it again"))
    refused += [
        (each.name, "before, and no later photograph was compared with it") for each in before if each.name not in met
    ]
    write_comparison(folder, compared, refused)
    changed = sum(change.kind != "unchanged" for each in compared for change in each.changes)
    log.info("%d photographs compared, %d cracks changed: %s", len(compared), changed, folder / "report.html")
    return len(refused)


def _described(place: InspectedPlace) -> Described:
    try:
        return described(place.shown())
    except (ValueError, OSError) as error:
        raise UserError(f"{place.folder} is damaged ({error}): inspect that photograph again") from error


def _photographs(key: str, given: str) -> list[InspectedPlace]:
    run = expanded(given)
    if not run.is_dir():
        raise UserError(f"{key}={run} is no folder: give the run folder of an inspection")
    found, table = [], run / "inspection.csv"
    listed = {row["folder"] for row in read_table(table, ("path", "folder"), key=key)} if table.is_file() else set()
    if strange := [each for each in listed if not (run / each).resolve().is_relative_to(run.resolve())]:
        raise UserError(f"{key}: {table} names the folder {strange[0]}, which is not in {run}: inspect again")
    for path in sorted(run / folder / DONE for folder in listed if folder and (run / folder / DONE).is_file()):
        try:
            one = inspected_from(json.loads(path.read_text("utf-8", errors="surrogateescape")))
        except DAMAGED as error:
            raise UserError(f"{key}: {path} is damaged: run the inspection into {run} again") from error
        if (path.parent / CRACKS_JSON).is_file():
            found.append(InspectedPlace(one, path.parent))
    if not found:
        raise UserError(
            f"{key}={run} holds no photographs whose cracks were measured: give the run folder of "
            "`crack inspect` by a crack map"
        )
    return found


def _counterpart(
    later: InspectedPlace, before: Sequence[InspectedPlace], points: dict[int, Described]
) -> tuple[tuple[InspectedPlace, Alignment] | None, str]:
    """The earlier photograph of the same place, that of the same name first; or why there is none."""
    best: tuple[InspectedPlace, Alignment] | None = None
    reason = "no photograph before shows that place"
    stem = later.name.rpartition(".")[0]
    alike = [(each.name != later.name, each.name.rpartition(".")[0] != stem) for each in before]
    for (_, other), earlier in sorted(zip(alike, before, strict=True), key=lambda pair: pair[0]):
        try:
            alignment = _at_full_size(aligned(points[id(earlier)], points[id(later)]), earlier, later)
        except UserError as error:
            reason = f"not aligned with {earlier.name}: {error}" if not other or not best else reason
            continue
        if best is None or alignment.points > best[1].points:
            best = earlier, alignment
        if not other:
            break
    return best, reason


def _at_full_size(found: Alignment, earlier: InspectedPlace, later: InspectedPlace) -> Alignment:
    """An alignment of the pictures that runs show, in pixels of the photographs."""
    shrunk = [np.diag([*(np.array(each.shown().size) / np.array(each.size)), 1.0]) for each in (earlier, later)]
    return Alignment(np.linalg.inv(shrunk[1]) @ found.matrix @ shrunk[0], found.points)


def _scale_of(earlier: InspectedPlace, later: InspectedPlace, alignment: Alignment) -> float | None:
    """Millimetres a pixel of the later photograph; None where those of both contradict the alignment."""
    if earlier.mm_per_px is None or later.mm_per_px is None:
        return later.mm_per_px
    expected = earlier.mm_per_px / alignment.enlarged(corners_of(earlier.size))
    if abs(expected / later.mm_per_px - 1) <= DISAGREE:
        return later.mm_per_px
    text = "%s: its %.4g mm a pixel contradict the %.4g that follow from %s: compared in pixels alone"
    log.warning(text, later.name, later.mm_per_px, expected, earlier.name)
    return None


def _compared(earlier: InspectedPlace, later: InspectedPlace, alignment: Alignment) -> ComparedPlace:
    then, now = earlier.place(), later.place()
    pixels = alignment.enlarged(corners_of(earlier.size))
    if not SAME <= pixels <= 1 / SAME:
        finer, times = (later, pixels) if pixels > 1 else (earlier, 1 / pixels)
        log.info("%s: %s has %.3g times the pixels a side, and is compared with fewer", later.name, finer.name, times)
    changes = changes_of(then, now, alignment)
    shown, former = later.shown(), earlier.shown()
    factors = former.width / earlier.size[0], shown.width / later.size[0]
    old = warped(former, alignment, factors, shown.size)
    scale = _scale_of(earlier, later, alignment)
    return ComparedPlace(
        earlier.name,
        later.name,
        alignment.points,
        changes,
        old,
        shown,
        factors[1],
        scale,
        {crack.number: crack.lines for crack in now.cracks},
        {crack.number: [alignment.moved(line) for line in crack.lines] for crack in then.cracks},
    )
