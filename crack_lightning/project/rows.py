"""The rows of a project's list of photographs: numbers that are kept beside the findings.

A row says what the page shows of a photograph at first. Requests read rows; only the background computes them.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.lines import REJECTED, UNSEEN, JudgedCrack, rejections
from crack_lightning.errors import UserError
from crack_lightning.measurement.record import is_crack
from crack_lightning.project.project import Project
from crack_lightning.project.shown_cracks import first_view, shown_cracks
from crack_lightning.runs.inspection.inspected import VERDICTS
from crack_lightning.runs.inspection.photograph_files import folder_of
from crack_lightning.system.files import write_atomically
from crack_lightning.system.names import showable

log = logging.getLogger(__name__)

ROW_FILE = "row.json"  # in the folder of a photograph
NOT_REVIEWED, IN_WORK, REVIEWED, CHANGED = "not reviewed", "in work", "reviewed", "changed since it was reviewed"


@dataclass(frozen=True)
class PhotographRow:
    """Holds what the list says of an inspected photograph.

    `made_of` changes with anything that changes the row. `counts`: the number of cracks by status. `length_px`: the
    length of those that are not rejected, nor joints, spalls or others. `folded`: the number of marks that are not in
    the first view. `unjudged`: the numbers of the marks in it that nobody judged.
    """

    made_of: str
    counts: Mapping[str, int]
    length_px: float
    folded: int
    verdict: str
    unjudged: Sequence[int] = ()


class Rows:
    """The rows of a project's photographs, by their keys."""

    def __init__(self, project: Project) -> None:
        self.project, self._kept = project, dict[str, PhotographRow]()

    def current(self, key: str) -> PhotographRow | None:
        """Returns a photograph's row, None if it has to be computed."""
        row = self.last(key)
        return row if row is not None and row.made_of == self._made_of(key) else None

    def last(self, key: str) -> PhotographRow | None:
        """Returns a photograph's row as it was computed last, even if something changed since; None without one."""
        if key not in self._kept:
            row = _read(folder_of(self.project.folder, self.project.photograph(key)) / ROW_FILE)
            if row is None:
                return None
            self._kept[key] = row
        return self._kept[key]

    def compute(self, key: str) -> PhotographRow:
        """Computes a photograph's row, and writes it."""
        made_of = self._made_of(key)
        row = self.keep(key, shown_cracks(self.project, key), made_of)
        self.write(key)
        return row

    def keep(self, key: str, cracks: Sequence[JudgedCrack], made_of: str | None = None) -> PhotographRow:
        """Keeps the row of a photograph that shows these cracks at the project's threshold."""
        project, made_of = self.project, made_of or self._made_of(key)
        shown = first_view(project, key, cracks)
        corrections = project.corrections_of(project.photograph(key).name)
        counts = dict(Counter(crack.status for crack in shown)) | {REJECTED: rejections(corrections)}
        cracks_shown = [crack for crack in shown if crack.status != REJECTED and is_crack(crack.label)]
        lengths_px = [crack.record.length_px for crack in cracks_shown]
        verdict = "cracked" if lengths_px else "review" if project.inspected[key].note else "sound"
        unjudged = [crack.record.number for crack in shown if crack.status == UNSEEN]
        folded, length_px = len(cracks) - len(shown), round(sum(lengths_px), 1)
        row = PhotographRow(made_of, counts, length_px, folded, verdict, unjudged)
        self._kept[key] = row
        return row

    def write(self, key: str) -> None:
        """Writes a photograph's row beside its findings, for the next server."""
        if key in self._kept and key in self.project.photographs:
            folder = folder_of(self.project.folder, self.project.photograph(key))
            write_atomically(folder / ROW_FILE, json.dumps(asdict(self._kept[key])).encode())

    def forget(self, key: str) -> None:
        """Forgets a photograph that is taken out of the project."""
        self._kept.pop(key, None)

    def _made_of(self, key: str) -> str:
        project, inspected = self.project, self.project.inspected[key]
        corrections = project.corrections_of(project.photograph(key).name)
        numbers = [correction.number for correction in corrections]
        settings = project.settings
        parts = (inspected.made_of.key, settings.threshold, settings.shortest_px, settings.learned[-1:], numbers)
        return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _read(path: Path) -> PhotographRow | None:
    try:
        row = PhotographRow(**json.loads(path.read_text()))
        counts = {str(name): int(count) for name, count in row.counts.items()}
        valid = row.verdict in VERDICTS and row.length_px >= 0 and row.folded >= 0 and isinstance(row.made_of, str)
        numbers = [int(number) for number in row.unjudged]
        kept = PhotographRow(row.made_of, counts, float(row.length_px), int(row.folded), row.verdict, numbers)
        return kept if valid else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        log.warning("%s is damaged (%s): it is made anew", path, error)
        return None


def state_of(corrections: Sequence[Correction], shown: Sequence[JudgedCrack] | Sequence[int]) -> str:
    """Returns how far people are with a photograph.

    `corrections` are its corrections in force, `shown` its cracks in the first view or the numbers of those that nobody
    judged: where new ones came since the review, it changed.
    """
    kinds = {correction.kind for correction in corrections}
    if "review" in kinds:
        seen = {number for correction in corrections if correction.kind == "review" for number in correction.seen}
        marks = [crack for crack in shown if _is_unjudged(crack)]
        numbers = [crack if isinstance(crack, int) else crack.record.number for crack in marks]
        return REVIEWED if seen.issuperset(numbers) else CHANGED
    return IN_WORK if kinds - {"scale"} else NOT_REVIEWED


def _is_unjudged(crack: JudgedCrack | int) -> bool:
    return isinstance(crack, int) or crack.status == UNSEEN


def row_facts(project: Project, rows: Rows, key: str) -> dict[str, Any]:
    """Returns a photograph's row as plain values; `computing` says that its numbers are those of before."""
    photograph, inspected = project.photograph(key), project.inspected.get(key)
    corrections = project.corrections_of(photograph.name)
    facts: dict[str, Any] = {"key": key, "name": showable(photograph.name), "verdict": "waiting", "length_px": 0.0}
    row = rows.last(key)
    facts |= {"state": state_of(corrections, row.unjudged if row else ()), "corrections": len(corrections)}
    if inspected is None:
        return facts
    if project.is_stale(key):
        return facts | {"note": "its file changed after it was inspected: open it to inspect it again"}
    count = len(project.journal.of(photograph.name)) - len(corrections)  # of an earlier picture of this name
    unused = f"{count} corrections were made on another picture of this name, and are not used" if count else ""
    notes = [inspected.error, inspected.note, unused]
    facts |= {"verdict": inspected.verdict, "note": showable("; ".join(filter(None, notes)))}
    facts |= {"version": inspected.made_of.key, "width": inspected.width_px, "height": inspected.height_px}
    if not inspected.is_mapped:
        return facts
    computing = rows.current(key) is None or inspected.made_of.threshold != project.settings.threshold
    facts["computing"] = computing
    if row is None:
        return facts
    return facts | {"counts": row.counts, "length_px": row.length_px, "folded": row.folded, "verdict": row.verdict}


def is_due(project: Project, rows: Rows, key: str) -> bool:
    """Returns whether a photograph's row has to be computed, and can be."""
    inspected = project.inspected.get(key)
    if inspected is None or not inspected.is_mapped or key not in project.photographs:
        return False
    try:
        return inspected.made_of.threshold == project.settings.threshold and rows.current(key) is None
    except (UserError, KeyError):
        return False
