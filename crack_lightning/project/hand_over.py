"""What a project hands over: the files of an inspection, of the cracks that people accepted, with who said what."""

import itertools
import json
import logging
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from crack_lightning.corrections.lines import (
    ACCEPTED,
    DRAWN,
    REJECTED,
    UNSEEN,
    JudgedCrack,
    outlined,
    rejections,
    surface_share,
)
from crack_lightning.errors import UserError
from crack_lightning.inference.overlay import crack_overlay
from crack_lightning.measurement.cracks import measured
from crack_lightning.measurement.network import Branch
from crack_lightning.measurement.record import CrackRecord
from crack_lightning.project.kept_pictures import small_picture
from crack_lightning.project.project import HANDED_OVER, OVERLAY_PX, WRITING, Project
from crack_lightning.project.scale_choice import scale_of
from crack_lightning.project.shown_cracks import is_shown, shown_cracks
from crack_lightning.runs.inspection.crack_files import write_cracks
from crack_lightning.runs.inspection.further_formats import check_formats
from crack_lightning.runs.inspection.inspected import Inspected, Marks, known_scale, write_done
from crack_lightning.runs.inspection.measuring import Measured, sums_of
from crack_lightning.runs.inspection.method import method_of
from crack_lightning.runs.inspection.options import check_named
from crack_lightning.runs.inspection.photograph_files import MEASURED, folder_of, write_pictures
from crack_lightning.runs.inspection.summary import write_summary
from crack_lightning.system.files import is_full, replacing, write_atomically
from crack_lightning.system.ranges import check_among

log = logging.getLogger(__name__)

INCLUDED = {"accepted": (ACCEPTED, DRAWN), "not_rejected": (ACCEPTED, DRAWN, UNSEEN)}
BAND_PX = 6.0  # half the band within which a handed over crack is measured once more
BY_NOBODY = "nobody gave a name"
_numbers = itertools.count()


@dataclass(frozen=True)
class HandedOver:
    """The folder, the same as one zip file, and how many cracks were accepted, drawn, rejected and not seen."""

    folder: Path
    archive: Path
    counts: Mapping[str, int]


def hand_over(project: Project, *, included: str, formats: Sequence[str]) -> HandedOver:
    """Write the report and the files that `formats` name, of what was accepted, or of all but what was rejected.

    Raises UserError for unknown formats, for a missing library, and where there is nothing inspected.
    """
    check_among("included", included, list(INCLUDED))
    check_named(formats)
    check_formats(formats, measured=True)
    inspected = list(project.inspected)
    if not any(project.inspected[key].is_mapped for key in inspected):
        raise UserError("no photograph is inspected yet: there is nothing to hand over")
    beside = project.folder / HANDED_OVER / f"{WRITING}{next(_numbers)}"  # it has no name until it is whole
    beside.mkdir(parents=True)
    try:
        counts = _write(project, beside, inspected, included, formats)
        run = _named(project, beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return HandedOver(run, _archive(run), counts)


def _write(project: Project, run: Path, keys: Sequence[str], included: str, formats: Sequence[str]) -> dict[str, int]:
    """All of the files; how many cracks have which status."""
    counts, written = Counter[str](), list[Inspected]()
    for key in keys:
        try:
            cracks = [one for one in shown_cracks(project, key) if is_shown(project, one)]
            written.append(_write_photograph(project, run, key, cracks, INCLUDED[included]))
            counts.update(one.status for one in cracks if one.status != REJECTED)
            counts[REJECTED] += rejections(project.corrections_of(project.photograph(key).name))
        except (OSError, ValueError) as error:
            if is_full(error):
                raise
            photograph = project.photograph(key)
            log.error("%s is left out: %s", photograph.path, error)
            written.append(Inspected(photograph.name, str(photograph.path), "error", error=str(error)))
    for name, count in project.away.items():
        written.append(Inspected(name, name, "error", error=f"it is not there, and {count} corrections wait for it"))
    method = _method(project, included, counts, written)
    classes, prefix = project.inspection.measuring.classes, project.options.image_prefix
    write_summary(run, written, method, classes, formats, image_prefix=prefix)
    facts = {
        "included": included,
        "method": method,
        "corrections": [one.facts() for one in project.active],
    }
    write_atomically(run / "corrections.json", json.dumps(facts, indent=1).encode())
    return dict(counts)


def _named(project: Project, beside: Path) -> Path:
    """Gives what was written beside a name that nothing has; the project's guard is held, or two would take one."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = project.folder / HANDED_OVER / name
    number = 2
    with project.guard:
        while folder.exists():
            folder, number = folder.with_name(f"{name}-{number}"), number + 1
        return beside.rename(folder)


def _method(project: Project, included: str, counts: Mapping[str, int], written: Sequence[Inspected]) -> dict[str, str]:
    """What the report says of how it came about, and of what people said."""
    inspection = project.inspection
    facts = method_of(inspection.options, inspection.classifier, inspection.decision, inspection.scale)
    facts["source"] = (
        ", ".join(source for source, _ in project.settings.sources) or "photographs that were dropped into the page"
    )
    facts["scale"] = ", ".join(sorted({one.scale.source for one in written if one.scale})) or "not known"
    people = Counter(one.by or BY_NOBODY for one in project.active if one.kind != "scale")
    return {
        **facts,
        "checkpoint hash": inspection.content[:16],
        "shortest crack": f"{project.settings.shortest_px:g} px",
        "shown here": "accepted and drawn cracks" if included == "accepted" else "all cracks that nobody rejected",
        "accepted": f"{counts[ACCEPTED]} and {counts[DRAWN]} drawn",
        "rejected": str(counts[REJECTED]),
        "seen by nobody": str(counts[UNSEEN]),
        "corrections by": ", ".join(f"{name}: {count}" for name, count in people.items()) or "nobody",
    }


def _write_photograph(
    project: Project, run: Path, key: str, cracks: Sequence[JudgedCrack], statuses: Sequence[str]
) -> Inspected:
    """The files of one photograph, with its cracks of these statuses, measured along their lines once more."""
    photograph, found = project.photograph(key), project.inspected[key]
    folder, scale, classes = folder_of(run, photograph), scale_of(project, key), project.inspection.measuring.classes
    kept = [replace(one.record, status=one.status) for one in cracks if one.status in statuses]
    most, grey = project.options.max_megapixels, project.grey_of(key)
    records = [replace(one, number=number) for number, one in enumerate(kept, 1)]
    again = [measured(_parts(record), grey) for record in records]  # for the pictures of their widest places
    write_cracks(folder, photograph.name, again, records, scale, grey)
    small = small_picture(photograph.path, OVERLAY_PX, megapixels=most)
    mm_per_px = None if scale is None else scale.mm_per_px
    marked = crack_overlay(small, records, classes, (found.height_px, found.width_px), mm_per_px=mm_per_px)
    write_pictures(folder, small, marked)
    sums = sums_of(Measured(again, records, scale, classes), MEASURED)
    made = replace(_row(project, found, records, cracks), scale=known_scale(scale), cracks=sums)
    write_done(folder, made)
    return made


def _row(
    project: Project, found: Inspected, records: Sequence[CrackRecord], cracks: Sequence[JudgedCrack]
) -> Inspected:
    own, statuses = project.corrections_of(found.name), Counter(one.status for one in cracks)
    statuses[REJECTED], areas = rejections(own), outlined(own)
    parts = [f"{statuses[name]} {name}" for name in (ACCEPTED, DRAWN, REJECTED, UNSEEN) if statuses[name]]
    if areas:
        parts.append(f"{1 - surface_share(areas, (found.width_px, found.height_px)):.0%} is no surface")
    note = "; ".join(filter(None, [found.note, ", ".join(parts)]))
    verdict = "cracked" if records else "review" if statuses[UNSEEN] or found.note else "sound"
    longest = max((record.length_px for record in records), default=0.0)
    marks = Marks(found.marks.peak if found.marks else 0.0, None, len(records), longest)
    return replace(found, verdict=verdict, note=note, marks=marks)


def _parts(record: CrackRecord) -> list[tuple[np.ndarray, Branch]]:
    """The lines of a crack as they are measured."""
    parts = []
    for line in record.lines:
        half_px = max(BAND_PX, (record.width_px.maximum or 0.0) / 2)
        parts.append((line, Branch(line, 1, half_px, np.full(len(line), record.mean_probability))))
    return parts


def _archive(run: Path) -> Path:
    """The folder as one zip file beside it."""
    archive = run.with_suffix(".zip")
    with replacing(archive) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(run.rglob("*")):
            if path.is_file():
                file.write(path, Path(run.name) / path.relative_to(run))
    return archive
