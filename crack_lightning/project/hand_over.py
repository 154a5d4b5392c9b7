"""Hands over a project: writes the files of an inspection for the accepted cracks, and who corrected what."""

import itertools
import json
import logging
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.lines import (
    ACCEPTED,
    DRAWN,
    REJECTED,
    UNSEEN,
    JudgedCrack,
    excluded_areas,
    rejections,
    surface_share,
)
from crack_lightning.errors import UserError
from crack_lightning.inference.overlay import crack_overlay
from crack_lightning.measurement.record import CrackRecord, is_crack, measured_again
from crack_lightning.project.kept_pictures import small_picture
from crack_lightning.project.project import HANDED_OVER, OVERLAY_PX, PARTIAL_PREFIX, Project, key_of_name
from crack_lightning.project.rows import CHANGED, NOT_REVIEWED, REVIEWED, state_of
from crack_lightning.project.scale_choice import scale_of
from crack_lightning.project.shown_cracks import first_view, shown_cracks
from crack_lightning.runs.inspection.crack_files import write_cracks
from crack_lightning.runs.inspection.further_formats import check_formats
from crack_lightning.runs.inspection.inspected import Inspected, Marks, known_scale, write_done
from crack_lightning.runs.inspection.measuring import Measured, sums_of
from crack_lightning.runs.inspection.method import method_of
from crack_lightning.runs.inspection.options import check_named
from crack_lightning.runs.inspection.photograph_files import FIGURES_SHOWN, folder_of, write_pictures
from crack_lightning.runs.inspection.summary import write_summary
from crack_lightning.system.files import is_full, replacing, write_atomically
from crack_lightning.system.ranges import check_among

log = logging.getLogger(__name__)

INCLUDED_STATUSES = {"accepted": (ACCEPTED, DRAWN), "not_rejected": (ACCEPTED, DRAWN, UNSEEN)}
STATUS_WORDS = {ACCEPTED: "accepted", DRAWN: "added by hand", REJECTED: "rejected", UNSEEN: "not reviewed"}
SHOWN_WORDS = {
    "accepted": "accepted cracks and those added by hand",
    "not_rejected": "all of the first view that nobody rejected",
}
NO_NAME = "nobody gave a name"
FORM_FIELDS = ("structure", "place", "date", "inspector", "client")  # of the cover
MAX_FIELD_LENGTH = 200  # characters
JPEG_QUALITY = 75  # of the pictures that are handed over, so that a few dozen photographs can be sent by e-mail
_folder_numbers = itertools.count()


@dataclass(frozen=True)
class HandedOver:
    """A hand-over: the folder, its zip file, and the number of cracks by status."""

    folder: Path
    archive: Path
    counts: Mapping[str, int]


def form_from(given: object) -> dict[str, str]:
    """Returns the fields of the cover that are filled. Raises UserError for a field that there is not, or too long."""
    form = given or {}
    if not isinstance(form, dict) or not set(form) <= set(FORM_FIELDS):
        raise UserError(f"form may have {', '.join(FORM_FIELDS)}")
    for name, value in form.items():
        if not isinstance(value, str) or len(value) > MAX_FIELD_LENGTH:
            raise UserError(f"{name} must be a text of at most {MAX_FIELD_LENGTH} characters")
    return {name: form[name].strip() for name in FORM_FIELDS if form.get(name, "").strip()}


def hand_over(
    project: Project,
    *,
    included: str,
    formats: Sequence[str],
    form: Mapping[str, str] | None = None,
    report: Callable[..., None] | None = None,
) -> HandedOver:
    """Writes the report and the files named in `formats`, for accepted cracks or for all in the first view that nobody
    rejected.

    `included` is a key of INCLUDED_STATUSES. `form` is what the cover says, by FORM_FIELDS; the project keeps it for
    the next time. `report` gets the number of photographs that are `done`, and of all (`total`). Raises UserError for
    unknown formats, a missing library, and where no photograph is inspected.
    """
    check_among("included", included, list(INCLUDED_STATUSES))
    check_named(formats)
    check_formats(formats, measured=True)
    inspected = list(project.inspected)
    if not any(project.inspected[key].is_mapped for key in inspected):
        raise UserError("no photograph is inspected yet: there is nothing to hand over")
    if form is not None:
        project.set(form=tuple(form.items()))
    partial = project.folder / HANDED_OVER / f"{PARTIAL_PREFIX}{next(_folder_numbers)}"  # renamed when complete
    partial.mkdir(parents=True)
    try:
        counts = _write(project, partial, inspected, included, formats, report)
        run = _renamed(project, partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return HandedOver(run, _archive(run), counts)


def _write(
    project: Project,
    run: Path,
    keys: Sequence[str],
    included: str,
    formats: Sequence[str],
    report: Callable[..., None] | None,
) -> dict[str, int]:
    """Writes all files; returns the number of cracks by status."""
    counts, written = Counter[str](), list[Inspected]()
    for index, key in enumerate(keys):
        if report is not None:
            report(done=index, total=len(keys))
        try:
            cracks = first_view(project, key, shown_cracks(project, key))
            written.append(_write_photograph(project, run, key, cracks, INCLUDED_STATUSES[included]))
            counts.update(crack.status for crack in cracks if crack.status != REJECTED)
            counts[REJECTED] += rejections(project.corrections_of(project.photograph(key).name))
        except (OSError, ValueError) as error:
            if is_full(error):
                raise
            photograph = project.photograph(key)
            log.error("%s is left out: %s", photograph.path, error)
            written.append(Inspected(photograph.name, str(photograph.path), "error", error=str(error)))
    for name, count in project.missing_photographs.items():
        written.append(Inspected(name, name, "error", error=f"the photograph is missing; it has {count} corrections"))
    method = _method_rows(project, included, counts, written)
    classes, prefix = project.inspection.measuring.classes, project.options.image_prefix
    cover = dict(project.settings.form) | _review_facts(project, keys)
    write_summary(run, written, method, classes, formats, image_prefix=prefix, cover=cover)
    facts = {
        "included": included,
        "method": method,
        "corrections": [correction.facts() for correction in project.active],
    }
    write_atomically(run / "corrections.json", json.dumps(facts, indent=1).encode())
    return dict(counts)


def _review_facts(project: Project, keys: Sequence[str]) -> dict[str, str]:
    reviewed = sum(_state(project, key) == REVIEWED for key in keys)
    return {"reviewed": f"{reviewed} of {len(keys)} photographs"}


def _state(project: Project, key: str) -> str:
    if not project.inspected[key].is_mapped:
        return NOT_REVIEWED
    shown = first_view(project, key, shown_cracks(project, key))
    return state_of(project.corrections_of(project.photograph(key).name), shown)


def _renamed(project: Project, partial: Path) -> Path:
    """Renames a complete folder to a free name, under the project's guard, so that no two folders get the same name."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = project.folder / HANDED_OVER / name
    number = 2
    with project.guard:
        while folder.exists():
            folder, number = folder.with_name(f"{name}-{number}"), number + 1
        return partial.rename(folder)


def _method_rows(
    project: Project, included: str, counts: Mapping[str, int], written: Sequence[Inspected]
) -> dict[str, str]:
    """Returns the rows of the report on how the cracks were found and what people corrected."""
    inspection = project.inspection
    facts = method_of(inspection.options, inspection.classifier, inspection.decision, inspection.scale)
    facts["handed over"] = facts.pop("inspected")
    facts["source"] = (
        ", ".join(source for source, _ in project.settings.sources) or "photographs that were dropped into the page"
    )
    facts["scale"] = (
        ", ".join(sorted({inspected.scale.source for inspected in written if inspected.scale})) or "not known"
    )
    people = Counter(correction.by or NO_NAME for correction in project.active if correction.kind != "scale")
    return {
        **facts,
        "checkpoint hash": inspection.content[:16],
        "shortest crack": f"{project.settings.shortest_px:g} px",
        "shown here": SHOWN_WORDS[included],
        "accepted": f"{counts[ACCEPTED]} and {counts[DRAWN]} added by hand",
        "rejected": str(counts[REJECTED]),
        "not reviewed": str(counts[UNSEEN]),
        "corrections by": ", ".join(f"{name}: {count}" for name, count in people.items()) or "nobody",
    }


def _write_photograph(
    project: Project, run: Path, key: str, cracks: Sequence[JudgedCrack], statuses: Sequence[str]
) -> Inspected:
    """Writes the files of one photograph and returns its row; its cracks with these `statuses` are measured again."""
    photograph, inspected = project.photograph(key), project.inspected[key]
    folder, scale, classes = folder_of(run, photograph), scale_of(project, key), project.inspection.measuring.classes
    records = [
        replace(crack.record, status=crack.status, kind=crack.label, note=crack.note)
        for crack in cracks
        if crack.status in statuses
    ]
    records.sort(key=lambda record: -record.length_px)
    megapixels, grey = project.options.max_megapixels, project.grey_of(key)
    remeasured = [measured_again([record], grey) for record in records]  # for the close-ups of their widest points
    write_cracks(folder, photograph.name, remeasured, records, scale, grey)
    small = small_picture(photograph.path, OVERLAY_PX, megapixels=megapixels)
    mm_per_px = None if scale is None else scale.mm_per_px
    marked = crack_overlay(small, records, classes, (inspected.height_px, inspected.width_px), mm_per_px=mm_per_px)
    write_pictures(folder, small, marked, jpeg_quality=JPEG_QUALITY)
    sums = sums_of(Measured(remeasured, records, scale, classes), FIGURES_SHOWN)
    row = replace(_row(project, inspected, records, cracks), scale=known_scale(scale), cracks=sums)
    write_done(folder, row)
    return row


def _row(
    project: Project, inspected: Inspected, records: Sequence[CrackRecord], cracks: Sequence[JudgedCrack]
) -> Inspected:
    corrections, statuses = project.corrections_of(inspected.name), Counter(crack.status for crack in cracks)
    statuses[REJECTED], areas = rejections(corrections), excluded_areas(corrections)
    parts = [f"{statuses[name]} {word}" for name, word in STATUS_WORDS.items() if statuses[name]]
    if areas:
        parts.append(f"{1 - surface_share(areas, (inspected.width_px, inspected.height_px)):.0%} is not surface")
    state = _state(project, key_of_name(inspected.name))
    review = _review_text(state, corrections, has_marks=bool(cracks))
    note = "; ".join(filter(None, [inspected.note, ", ".join(parts), review]))
    cracked = [record for record in records if is_crack(record.kind)]
    verdict = "cracked" if cracked else "sound" if state == REVIEWED and not inspected.note else "review"
    longest = max((record.length_px for record in cracked), default=0.0)
    marks = Marks(inspected.marks.peak if inspected.marks else 0.0, None, len(cracked), longest)
    return replace(inspected, verdict=verdict, note=note, marks=marks)


def _review_text(state: str, corrections: Sequence[Correction], *, has_marks: bool) -> str:
    """Returns how far people went through a photograph, for the report."""
    by = next((correction.by for correction in reversed(corrections) if correction.kind == "review"), "")
    text = f"{state} by {by}" if by else state
    if has_marks:
        return text if state in (REVIEWED, CHANGED) else f"the photograph is {state}"
    return f"{text}: nothing found" if state == REVIEWED else f"{text}: the map found nothing"


def _archive(run: Path) -> Path:
    """Writes a zip file of the folder beside it, and returns the path of the zip file."""
    archive = run.with_suffix(".zip")
    with replacing(archive) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(run.rglob("*")):
            if path.is_file():
                file.write(path, Path(run.name) / path.relative_to(run))
    return archive
