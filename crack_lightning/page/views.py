"""Describes a project to the page in plain values, which the page shows as text, never as markup."""

import itertools
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning import __version__
from crack_lightning.corrections.correction import REASONS
from crack_lightning.corrections.lines import UNSEEN, JudgedCrack, excluded_areas, surface_share
from crack_lightning.corrections.undoing import to_redo, to_undo
from crack_lightning.data.images.formats import png
from crack_lightning.errors import UserError
from crack_lightning.inference.grouping import steadied
from crack_lightning.measurement.classes import UNKNOWN_COLOUR
from crack_lightning.measurement.record import KINDS, figure_of, length_text, width_text
from crack_lightning.project.attention import PlaceToLookAt
from crack_lightning.project.kept_pictures import TILE_PX
from crack_lightning.project.marks import shown_threshold
from crack_lightning.project.project import HANDED_OVER, Project, key_of_name
from crack_lightning.project.remembered import Remembered
from crack_lightning.project.rows import Rows, row_facts
from crack_lightning.project.scale_choice import scale_of
from crack_lightning.project.shown_cracks import longer_side, shown_cracks
from crack_lightning.runs.inspection.further_formats import missing_formats
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat
from crack_lightning.system.names import showable


def project_facts(project: Project, rows: Rows) -> dict[str, Any]:
    """Returns all photographs by name, with the settings and what can be handed over."""
    classes = project.inspection.measuring.classes
    photographs = [row_facts(project, rows, key) for key in list(project.photographs)]
    return {
        "folder": showable(str(project.folder)),
        "version": __version__,
        "photographs": sorted(photographs, key=lambda row: _natural(row["name"])),
        "threshold": project.settings.threshold,
        "shortest_px": project.settings.shortest_px,
        "checkpoint": Path(project.settings.ckpt_path).name if project.settings.ckpt_path else "of the package",
        "classes": {name: classes.colour_of(name) for name in classes.names},
        "unknown_colour": UNKNOWN_COLOUR,
        "faults": _faults(project),
        "reasons": list(REASONS),
        "labels": list(KINDS),
        "learned": len(project.settings.learned),
        "left_out": [showable(name) for name in project.settings.left_out],
        "form": dict(project.settings.form),
        "missing": missing_formats(),
        "handed_over": sorted(path.stem for path in (project.folder / HANDED_OVER).glob("*.zip")),
    }


@lru_cache(2**14)
def _natural(name: str) -> list[tuple[int, str]]:
    """Returns what sorts names as people do: photograph 2 comes before photograph 10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _faults(project: Project) -> list[str]:
    """Returns messages on what is wrong with the project's files."""
    missing = project.missing_photographs.items()
    return [*map(showable, project.journal.faults), *(_missing_message(*pair) for pair in missing)]


def _missing_message(name: str, count: int) -> str:
    return f"{count} corrections belong to {showable(name)}, which is missing: put it back, or name its folder"


def _correction_facts(project: Project, number: int | None) -> dict[str, Any] | None:
    """Returns the correction `number`, the next one to undo or redo; None where there is none."""
    if number is None:
        return None
    correction = project.journal.numbered(number)
    name = correction.photograph
    key = key_of_name(name) if name and key_of_name(name) in project.photographs else ""
    first = correction if correction.batch is None else project.journal.numbered(correction.batch)
    kind = "reshape" if first.replaces else correction.kind
    return {"of": number, "kind": kind, "photograph": showable(name), "key": key}


class Views:
    """Remembers what windows of the page know of photographs, so that an answer holds only what changed."""

    def __init__(self) -> None:
        self._sent, self._numbers = Remembered[dict[str, Any]](512), itertools.count(1)
        self._started = time.time_ns()  # revisions of an earlier server are others

    def photograph(
        self, project: Project, rows: Rows, key: str, threshold: float | None, known: str = ""
    ) -> dict[str, Any]:
        """Returns a photograph's row with its cracks at `threshold`, its areas that are not surface, and its scale.

        `cracks` are those that a window which knows the revision `known` does not have as they are, without lines where
        it has these; `order` names all cracks. `computing` says that the cracks are those of another threshold.
        """
        facts, inspected = row_facts(project, rows, key), project.inspected.get(key)
        facts |= _turns(project, key) | {"cracks": [], "order": [], "areas": [], "scale": None, "tile_px": TILE_PX}
        if inspected is None or inspected.grid is None or not inspected.is_mapped or project.is_stale(key):
            return facts
        wanted = project.settings.threshold if threshold is None else threshold
        used = shown_threshold(project, key, wanted)
        corrections = project.corrections_of(project.photograph(key).name)
        excluded = [correction for correction in corrections if correction.kind == "exclude"]
        scale = scale_of(project, key)
        cracks = shown_cracks(project, key, used)
        if used == project.settings.threshold:
            rows.keep(key, cracks)
            facts |= row_facts(project, rows, key)
        return facts | {
            **self._changed(project, key, cracks, known),
            "threshold": used,
            "computing": used != wanted,
            "areas": [np.round(line, 1).tolist() for correction in excluded for line in correction.lines],
            "surface": surface_share(excluded_areas(corrections), (inspected.width_px, inspected.height_px)),
            "scale": None if scale is None else {"mm_per_px": scale.mm_per_px, "source": showable(scale.source)},
            "cell": asdict(inspected.grid),
            "review": next((given.number for given in reversed(corrections) if given.kind == "review"), None),
        }

    def _changed(self, project: Project, key: str, cracks: Sequence[JudgedCrack], known: str) -> dict[str, Any]:
        longest_px = longer_side(project, key)
        signatures = {crack.name: _signature(crack) for crack in cracks}
        earlier = self._sent.of(f"{key}/{known}", dict)
        changed = list[dict[str, Any]]()
        for crack in cracks:
            if earlier.get(crack.name) != signatures[crack.name]:
                facts = _crack_facts(project, crack) | {"folded": crack.is_folded(longest_px)}
                if crack.name not in earlier:
                    facts["lines"] = [np.round(line, 1).ravel().tolist() for line in crack.record.lines]
                changed.append(facts)
        revision = f"{self._started}-{next(self._numbers)}"
        self._sent.of(f"{key}/{revision}", lambda: signatures)
        return {"revision": revision, "order": list(signatures), "cracks": changed}


def _signature(crack: JudgedCrack) -> tuple[object, ...]:
    record, moved = crack.record, _probability_of(crack)
    texts = (crack.status, crack.correction, crack.label, crack.note, crack.why)
    return (record.number, moved, record.likely, record.length_mm, record.width_mm.median, record.width_class, *texts)


def _probability_of(crack: JudgedCrack) -> float | None:
    """Returns the probability that a mark is a crack, None where a person decided that."""
    probability = crack.record.probability if crack.moved is None else crack.moved
    return None if probability is None or crack.status != UNSEEN else round(probability, 3)


def _crack_facts(project: Project, crack: JudgedCrack) -> dict[str, Any]:
    record, classes = crack.record, project.inspection.measuring.classes
    facts = record.facts()
    return {
        "id": crack.name,
        "number": record.number,
        "status": crack.status,
        "correction": crack.correction,
        "figures": figure_of(record),
        "length": length_text(facts),
        "length_px": round(record.length_px, 1),
        "length_mm": record.length_mm,
        "width": width_text(facts),
        "width_px": record.width_px.median,
        "width_class": record.width_class,
        "colour": classes.colour_of(record.width_class),
        "probability": _probability_of(crack),
        "why": crack.why,
        "reason": crack.reason,
        "label": crack.label,
        "note": showable(crack.note),
    }


def _turns(project: Project, key: str) -> dict[str, Any]:
    """Returns the corrections that undo and redo would turn, while this photograph is open."""
    journal, name = project.journal, project.photograph(key).name
    names = {photograph.name for photograph in list(project.photographs.values())}
    return {
        "undo": _correction_facts(project, to_undo(journal.active, name, names)),
        "redo": _correction_facts(project, to_redo(journal.corrections, name, names)),
    }


def map_picture(project: Project, key: str) -> bytes:
    """Returns a grey PNG of the steadied map, with one pixel for each cell: 255 for a probability of 1.

    Raises UserError where the photograph has no crack map yet.
    """
    inspected = project.inspected.get(key)
    if inspected is None or inspected.grid is None or not inspected.is_mapped:
        raise UserError("this photograph is not inspected yet")
    heat = read_heat(folder_of(project.folder, project.photograph(key)), inspected)
    probability = heat.probability.astype(np.float64).clip(1e-6, 1 - 1e-6)
    threshold = project.settings.threshold
    odds = steadied(np.log(probability / (1 - probability)), float(np.log(threshold / (1 - threshold))))
    return png(Image.fromarray(np.rint(255 / (1 + np.exp(-odds))).astype(np.uint8)))


def place_facts(project: Project, places: Sequence[PlaceToLookAt]) -> list[dict[str, Any]]:
    """Returns the places to look at next as plain values."""
    return [
        {
            "key": key_of_name(place.photograph),
            "length": _length_of_place(project, place),
            "name": showable(place.photograph),
            "x": place.middle[0],
            "y": place.middle[1],
            "line": np.round(place.line, 1).ravel().tolist(),
            "value": round(place.value, 3),
            "reason": place.reason,
        }
        for place in places
    ]


def _length_of_place(project: Project, place: PlaceToLookAt) -> str:
    scale = scale_of(project, key_of_name(place.photograph))
    return f"{place.length_px:.0f} px" if scale is None else f"{place.length_px * scale.mm_per_px:.0f} mm"
