"""The files of an inspection as a whole: tables, report, positions, and formats for other programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.inference.overlay import scale_colours
from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.report.cracks_section import LIMITS
from crack_lightning.report.templates import rendered
from crack_lightning.runs.inspection.crack_files import kept_records, write_all_cracks
from crack_lightning.runs.inspection.cracks_shown import cracks_shown
from crack_lightning.runs.inspection.further_formats import Handover, write_formats, write_positions
from crack_lightning.runs.inspection.inspected import SEVERITY, Inspected
from crack_lightning.system.files import write_atomically, write_csv

HEADER = [
    *("path", "verdict", "peak_probability", "share_above_threshold", "regions", "longest_region_px"),
    *("longest_region_mm", "width_px", "height_px", "seconds", "folder", "error", "note"),
    *("cracks", "crack_length_px", "crack_length_mm", "mm_per_px", "scale"),
]


def write_summary(
    run: Path,
    inspected: Sequence[Inspected],
    method: Mapping[str, str],
    classes: WidthClasses,
    formats: Sequence[str] = (),
    *,
    image_prefix: str = "",
) -> None:
    """inspection.csv, cracks.csv and report.html of all photographs, the worst first; photographs.geojson where cameras
    wrote where they stood; and what `formats` name, `image_prefix` before names in that of Label Studio. `method` is
    what the report says of how."""
    ranked = sorted(inspected, key=_worst_first)
    write_csv(run / "inspection.csv", HEADER, [_row(each) for each in ranked])
    write_positions(run, ranked)
    summary = f"{len(inspected)} photographs: {counted(inspected)}"
    mapped = [each for each in ranked if each.cracks is not None]
    cracks = None
    if mapped:
        found = {each.name: [one.facts() for one in kept_records(run / "photographs" / each.name)] for each in mapped}
        write_all_cracks(run, found)
        cracks = cracks_shown(found, {each.name: each for each in mapped}, classes)
    thumbnails = {
        each.name: (run / "photographs" / each.name / "thumbnail.jpg").read_bytes()
        for each in ranked
        if each.marks is not None
    }
    page = rendered(
        "inspection.html",
        summary=summary,
        method=method,
        colours=scale_colours(),
        inspected=ranked,
        thumbnails=thumbnails,
        cracks=cracks,
        limits=LIMITS,
    )
    write_atomically(run / "report.html", page.encode())
    if cracks is not None:
        write_formats(formats, Handover(run, ranked, summary, method, classes, cracks, image_prefix))


def counted(inspected: Sequence[Inspected]) -> str:
    """How many have which verdict."""
    counts = {verdict: sum(each.verdict == verdict for each in inspected) for verdict in SEVERITY}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def _worst_first(each: Inspected) -> tuple[int, float, float]:
    share, peak = (0.0, 0.0) if each.marks is None else (each.marks.share or 0.0, each.marks.peak)
    return SEVERITY.index(each.verdict), -share, -peak


def _row(each: Inspected) -> list[object]:
    marks, mm_per_px = each.marks, each.mm_per_px
    if marks is None:
        return [each.path, each.verdict, *[""] * (len(HEADER) - 9), each.error, each.note, *[""] * 5]
    numbers = ["" if value is None else f"{value:.6f}" for value in (marks.peak, marks.share)]
    longest = [f"{marks.longest_px:.1f}", "" if mm_per_px is None else f"{marks.longest_px * mm_per_px:.1f}"]
    facts = [marks.regions, *longest, each.width_px, each.height_px, f"{each.seconds:.2f}"]
    return [each.path, each.verdict, *numbers, *facts, f"photographs/{each.name}", "", each.note, *_measures(each)]


def _measures(each: Inspected) -> list[object]:
    """Cracks, their length, and the scale; empty where not known."""
    found, scale = ["", "", ""], each.scale
    if (cracks := each.cracks) is not None:
        in_mm = "" if cracks.length_mm is None else f"{cracks.length_mm:.1f}"
        found = [str(cracks.number), f"{cracks.length_px:.1f}", in_mm]
    return [*found, *(["", ""] if scale is None else [f"{scale.mm_per_px:.6g}", scale.source])]
