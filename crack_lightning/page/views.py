"""Describes a project to the page in plain values, which the page shows as text, never as markup."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning import __version__
from crack_lightning.corrections.correction import REASONS, Correction, to_redo, to_undo
from crack_lightning.corrections.lines import REJECTED, UNSEEN, JudgedCrack, excluded_areas, rejections, surface_share
from crack_lightning.data.images.formats import png
from crack_lightning.errors import UserError
from crack_lightning.inference.grouping import steadied
from crack_lightning.measurement.record import figure_of, is_likely
from crack_lightning.project.attention import PlaceToLookAt
from crack_lightning.project.kept_pictures import TILE_PX
from crack_lightning.project.likeness import moved_marks
from crack_lightning.project.project import HANDED_OVER, Project, key_of_name
from crack_lightning.project.remembered import Remembered
from crack_lightning.project.scale_choice import scale_of
from crack_lightning.project.shown_cracks import is_shown, shown_cracks
from crack_lightning.runs.inspection.further_formats import missing_formats
from crack_lightning.runs.inspection.inspected import VERDICTS, CrackSums
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat
from crack_lightning.system.names import showable


def project_facts(project: Project) -> dict[str, Any]:
    """Returns all photographs, the worst first, with the settings and the number and state of corrections."""
    corrections, classes = project.journal.corrections, project.inspection.measuring.classes
    rows = [row_of(project, key) for key in list(project.photographs)]
    rows.sort(key=lambda row: (ORDER.index(row["verdict"]), -row["length_px"], row["name"]))
    return {
        "folder": showable(str(project.folder)),
        "version": __version__,
        "photographs": rows,
        "threshold": project.settings.threshold,
        "shortest_px": project.settings.shortest_px,
        "checkpoint": Path(project.settings.ckpt_path).name if project.settings.ckpt_path else "of the package",
        "classes": {name: classes.colour_of(name) for name in classes.names},
        "corrections": len(project.active),
        "faults": _faults(project),
        "undo": _correction_facts(project, to_undo(corrections)),
        "redo": _correction_facts(project, to_redo(corrections)),
        "reasons": list(REASONS),
        "missing": missing_formats(),
        "handed_over": sorted(path.stem for path in (project.folder / HANDED_OVER).glob("*.zip")),
    }


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
    return {"of": number, "kind": correction.kind, "photograph": showable(correction.photograph)}


_remembered_rows = Remembered[dict[str, Any]](2**14)

ORDER = (*VERDICTS[:2], "waiting", *VERDICTS[2:])


def row_of(project: Project, key: str) -> dict[str, Any]:
    """Returns a photograph's row in the list; what corrections change is computed again only if something changed."""
    photograph, inspected = project.photograph(key), project.inspected.get(key)
    row: dict[str, Any] = {"key": key, "name": showable(photograph.name), "verdict": "waiting", "length_px": 0.0}
    if inspected is None:
        return row
    if project.is_stale(key):
        return row | {"note": "its file changed after it was inspected: open it to inspect it again"}
    count = project.count_of_replaced(photograph.name)
    unused = f"{count} corrections were made on another picture of this name, and are not used" if count else ""
    row |= {
        "verdict": inspected.verdict,
        "note": showable("; ".join(filter(None, (inspected.error, inspected.note, unused)))),
    }
    row |= {"version": inspected.made_of.key, "width": inspected.width_px, "height": inspected.height_px}
    if not inspected.is_mapped:
        return row
    corrections = project.corrections_of(photograph.name)
    if not corrections:
        sums = inspected.cracks or CrackSums(0, 0.0, None, ())
        return row | {"counts": {UNSEEN: sums.number}, "length_px": sums.length_px, "corrections": 0}
    settings = project.settings.threshold, project.settings.shortest_px
    question = project.folder, key, inspected.made_of, settings, tuple(correction.number for correction in corrections)
    try:
        corrected = _remembered_rows.of(question, lambda: _corrected_values(project, key, corrections))
    except (OSError, ValueError) as error:
        corrected = {"verdict": "error", "note": showable(str(error))}
    return row | corrected | {"corrections": len(corrections)}


def _corrected_values(project: Project, key: str, corrections: Sequence[Correction]) -> dict[str, Any]:
    """Returns the values in a photograph's row that corrections change."""
    cracks = [crack for crack in shown_cracks(project, key) if is_shown(project, crack) and not crack.folded]
    counts = dict(Counter(crack.status for crack in cracks)) | {REJECTED: rejections(corrections)}
    lengths_px = [crack.record.length_px for crack in cracks if crack.status != REJECTED]
    verdict = "cracked" if lengths_px else "review" if project.inspected[key].note else "sound"
    return {"counts": counts, "length_px": sum(lengths_px), "verdict": verdict}


def photograph_facts(project: Project, key: str, threshold: float | None) -> dict[str, Any]:
    """Returns a photograph's row with its cracks at `threshold`, its excluded areas (not surface) and its scale."""
    row, photograph, scale = row_of(project, key), project.photograph(key), scale_of(project, key)
    inspected = project.inspected.get(key)
    if inspected is None or inspected.grid is None or not inspected.is_mapped or project.is_stale(key):
        return row | {"cracks": [], "areas": [], "scale": None, "tile_px": TILE_PX}
    corrections = project.corrections_of(photograph.name)
    excluded = [correction for correction in corrections if correction.kind == "exclude"]
    areas = [np.round(line, 1).tolist() for correction in excluded for line in correction.lines]
    return row | {
        "cracks": _cracks_facts(project, key, shown_cracks(project, key, threshold)),
        "areas": areas,
        "surface": surface_share(excluded_areas(corrections), (inspected.width_px, inspected.height_px)),
        "scale": None if scale is None else {"mm_per_px": scale.mm_per_px, "source": showable(scale.source)},
        "tile_px": TILE_PX,
        "cell": asdict(inspected.grid),
    }


def _cracks_facts(project: Project, key: str, cracks: Sequence[JudgedCrack]) -> list[dict[str, Any]]:
    """Returns cracks as plain values, with their probabilities as people's judgements moved them."""
    pairs = zip(cracks, moved_marks(project, key, cracks), strict=True)
    inspected = project.inspected[key]
    longest = max(inspected.width_px, inspected.height_px, 1)
    return [
        _crack_facts(project, crack)
        | {
            "probability": None if moved is None else round(moved.probability, 3),
            "why": "" if moved is None else moved.why,
            "likely": moved is None or is_likely(moved.probability, crack.record.length_px / longest),
        }
        for crack, moved in pairs
    ]


def _crack_facts(project: Project, crack: JudgedCrack) -> dict[str, Any]:
    record, classes = crack.record, project.inspection.measuring.classes
    return {
        "id": crack.name,
        "number": record.number,
        "status": crack.status,
        "correction": crack.correction,
        "figures": figure_of(record),
        "length_px": round(record.length_px, 1),
        "length_mm": record.length_mm,
        "width": _width_text(crack),
        "width_px": record.width_px.median,
        "width_class": record.width_class,
        "colour": classes.colour_of(record.width_class),
        "lines": [np.round(line, 1).ravel().tolist() for line in record.lines],
    }


def _width_text(crack: JudgedCrack) -> str:
    """Returns the text of a crack's median width ± twice its standard error, or of the width that it is below."""
    record = crack.record
    widths, unit, digits = record.width_px, "px", 1
    if record.length_mm is not None:
        widths, unit, digits = record.width_mm, "mm", 2
    if widths.median is not None:
        return f"{widths.median:.{digits}f} ± {2 * (widths.uncertainty or 0):.{digits}f} {unit}"
    return "" if widths.below is None else f"< {widths.below:.{digits}f} {unit}"


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


def place_facts(places: Sequence[PlaceToLookAt]) -> list[dict[str, Any]]:
    """Returns the places to look at next as plain values."""
    return [
        {
            "key": key_of_name(place.photograph),
            "name": showable(place.photograph),
            "x": place.middle[0],
            "y": place.middle[1],
            "length_px": round(place.length_px),
            "line": np.round(place.line, 1).ravel().tolist(),
            "value": round(place.value, 3),
            "reason": place.reason,
        }
        for place in places
    ]
