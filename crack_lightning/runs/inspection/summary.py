"""Writes the files that cover all photographs of an inspection: tables, report, positions, and further formats."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crack_lightning.errors import UserError
from crack_lightning.inference.overlay import scale_colours
from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.measurement.record import CrackFacts, is_crack
from crack_lightning.report.cracks_section import LIMITS, CracksSection
from crack_lightning.report.templates import rendered
from crack_lightning.runs.inspection.crack_files import kept_records, write_all_cracks
from crack_lightning.runs.inspection.cracks_shown import cracks_shown
from crack_lightning.runs.inspection.further_formats import Contents, write_formats, write_positions
from crack_lightning.runs.inspection.inspected import VERDICTS, Inspected
from crack_lightning.runs.inspection.photograph_files import overlay_of
from crack_lightning.system.files import write_atomically, write_csv
from crack_lightning.system.names import plural
from crack_lightning.system.tables import read_table

HEADER = [
    *("path", "verdict", "peak_probability", "share_above_threshold", "regions", "longest_region_px"),
    *("longest_region_mm", "width_px", "height_px", "seconds", "folder", "error", "note"),
    *("cracks", "crack_length_px", "crack_length_mm", "unlikely_cracks", "mm_per_px", "scale"),
]


def check_earlier_report(run: Path, paths: Iterable[Path]) -> None:
    """Raises UserError if the report in `run` is of other photographs than those at `paths`, which still exist."""
    table = run / "inspection.csv"
    if not table.is_file():
        return
    given = {path.resolve() for path in paths}
    named = [Path(row["path"]) for row in read_table(table, ["path"], key="out")]
    lost = [path for path in named if path.resolve() not in given and path.is_file()]
    if lost:
        raise UserError(
            f"{run} holds the report of {plural(len(lost), 'other photograph')}, such as {lost[0]}, which this would "
            "replace: give another out=FOLDER, or a source with all of them"
        )


def write_summary(
    run: Path,
    inspected: Sequence[Inspected],
    method: Mapping[str, str],
    classes: WidthClasses,
    formats: Sequence[str] = (),
    *,
    image_prefix: str = "",
    cover: Mapping[str, str] | None = None,
) -> None:
    """Writes inspection.csv, cracks.csv and report.html for all photographs, the worst first; photographs.geojson if
    cameras recorded positions; and the files of `formats`.

    `method` is what the report says at its end about how it was made, `cover` what it says at its beginning.
    `image_prefix` precedes the names in the Label Studio file.
    """
    ranked = sorted(inspected, key=_rank)
    rows = ranked if cover is None else [replace(photo, path=photo.name) for photo in ranked]  # paths are for oneself
    write_csv(run / "inspection.csv", HEADER, [_row(photo) for photo in rows])
    write_positions(run, ranked)
    summary = f"{plural(len(inspected), 'photograph')}: {counted(inspected)}"
    mapped = [photo for photo in ranked if photo.cracks is not None]
    cracks, longest_px = None, dict[str, float]()
    if mapped:
        facts = {
            photo.name: [crack.facts() for crack in kept_records(run / "photographs" / photo.name)] for photo in mapped
        }
        write_all_cracks(run, facts)
        longest_px = {name: _longest_of(cracks) for name, cracks in facts.items()}
        cracks = cracks_shown(facts, {photo.name: photo for photo in mapped}, classes)
    write_atomically(run / "report.html", _page(run, ranked, summary, method, cover or {}, cracks, longest_px).encode())
    if cracks is not None:
        write_formats(formats, Contents(run, ranked, summary, method, classes, cracks, image_prefix, cover or {}))


def _page(
    run: Path,
    ranked: Sequence[Inspected],
    summary: str,
    method: Mapping[str, str],
    cover: Mapping[str, str],
    cracks: CracksSection | None,
    longest_px: Mapping[str, float],
) -> str:
    return rendered(
        "inspection.html",
        summary=summary,
        method=method,
        cover=cover,
        overlays={photo.name: str(overlay_of(run, photo.name)) for photo in ranked},
        colours=scale_colours(),
        inspected=ranked,
        thumbnails=_thumbnails(run, ranked),
        cracks=cracks,
        longest_px=longest_px,
        limits=LIMITS,
    )


def _longest_of(cracks: Sequence[CrackFacts]) -> float:
    return max((crack.length_px for crack in cracks if crack.likely and is_crack(crack.kind)), default=0.0)


def _thumbnails(run: Path, inspected: Sequence[Inspected]) -> dict[str, bytes]:
    """Returns the JPEG files that the report shows, by the names of photographs with results."""
    marked = [photo.name for photo in inspected if photo.marks is not None]
    return {name: (run / "photographs" / name / "thumbnail.jpg").read_bytes() for name in marked}


def counted(inspected: Sequence[Inspected]) -> str:
    """Returns a text with the number of photographs for each verdict."""
    counts = {verdict: sum(photo.verdict == verdict for photo in inspected) for verdict in VERDICTS}
    texts = {verdict: f"{count} {verdict}" for verdict, count in counts.items()}
    texts["error"] = plural(counts["error"], "error")
    return ", ".join(texts[verdict] for verdict, count in counts.items() if count)


def _rank(photo: Inspected) -> tuple[int, float, float]:
    """Returns what sorts photographs, the worst first: by length of cracks, or by the marked share and the peak."""
    rank = VERDICTS.index(photo.verdict)
    if photo.cracks is not None:
        return rank, -photo.cracks.length_px, -photo.cracks.unlikely
    return (rank, 0.0, 0.0) if photo.marks is None else (rank, -(photo.marks.share or 0.0), -photo.marks.peak)


def _row(photo: Inspected) -> list[object]:
    marks, mm_per_px = photo.marks, photo.mm_per_px
    if marks is None:
        return [photo.path, photo.verdict, *[""] * (len(HEADER) - 10), photo.error, photo.note, *[""] * 6]
    numbers = ["" if value is None else f"{value:.6f}" for value in (marks.peak, marks.share)]
    longest = [f"{marks.longest_px:.1f}", "" if mm_per_px is None else f"{marks.longest_px * mm_per_px:.1f}"]
    facts = [marks.regions, *longest, photo.width_px, photo.height_px, f"{photo.seconds:.2f}"]
    return [
        photo.path,
        photo.verdict,
        *numbers,
        *facts,
        f"photographs/{photo.name}",
        "",
        photo.note,
        *_measured_values(photo),
    ]


def _measured_values(photo: Inspected) -> list[object]:
    """Returns the number of likely cracks, their lengths, the number of other marks, and the scale; empty texts for
    what is not known."""
    columns, scale = ["", "", "", ""], photo.scale
    if (cracks := photo.cracks) is not None:
        length_mm = "" if cracks.length_mm is None else f"{cracks.length_mm:.1f}"
        columns = [str(cracks.number), f"{cracks.length_px:.1f}", length_mm, str(cracks.unlikely)]
    return [*columns, *(["", ""] if scale is None else [f"{scale.mm_per_px:.6g}", scale.source])]
