"""The files of an inspection as a whole: tables, report, positions, and formats for other programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.inference.overlay import scale_colours
from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.report.inspection_page import Shown, inspection_page
from crack_lightning.runs.crack_files import write_all_cracks
from crack_lightning.runs.cracks_shown import cracks_shown
from crack_lightning.runs.formats import Handover, write_formats, write_positions
from crack_lightning.runs.photograph_files import SEVERITY, Inspected
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
) -> None:
    """inspection.csv, cracks.csv and report.html of all photographs, the worst first; photographs.geojson where cameras
    wrote where they stood; and what `formats` name. `method` is what the report says of how."""
    ranked = sorted(inspected, key=lambda each: (SEVERITY.index(each.verdict), -(each.share or 0), -(each.peak or 0)))
    write_csv(run / "inspection.csv", HEADER, [_row(each) for each in ranked])
    write_positions(run, ranked)
    summary = f"{len(inspected)} photographs: {counted(inspected)}"
    mapped = [each for each in ranked if each.cracks is not None]
    cracks = None
    if mapped:
        rows = write_all_cracks(run, [f"photographs/{each.name}" for each in mapped])
        cracks = cracks_shown(rows, {each.name: each for each in mapped}, classes)
    page = inspection_page(summary, method, scale_colours(), [_shown(run, each) for each in ranked], cracks)
    write_atomically(run / "report.html", page.encode())
    if cracks is not None:
        write_formats(formats, Handover(run, mapped, summary, method, classes, cracks))


def counted(inspected: Sequence[Inspected]) -> str:
    """How many have which verdict."""
    counts = {verdict: sum(each.verdict == verdict for each in inspected) for verdict in SEVERITY}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def _row(each: Inspected) -> list[object]:
    numbers = ["" if value is None else f"{value:.6f}" for value in (each.peak, each.share)]
    longest = [f"{each.longest_px:.1f}", "" if each.longest_mm is None else f"{each.longest_mm:.1f}"]
    if not each.measured_at_all:
        return [each.path, each.verdict, *[""] * (len(HEADER) - 9), each.error, each.note, *[""] * 5]
    facts = [each.regions, *longest, each.width_px, each.height_px, f"{each.seconds:.2f}"]
    return [each.path, each.verdict, *numbers, *facts, f"photographs/{each.name}", "", each.note, *_measures(each)]


def _measures(each: Inspected) -> list[object]:
    """Cracks, their length, and the scale; empty where not known."""
    lengths = ["", ""] if each.cracks is None else [f"{each.crack_length_px:.1f}", ""]
    if each.crack_length_mm is not None:
        lengths[1] = f"{each.crack_length_mm:.1f}"
    scale = "" if each.mm_per_px is None else f"{each.mm_per_px:.6g}"
    return ["" if each.cracks is None else each.cracks, *lengths, scale, each.scale]


def _figures(each: Inspected) -> list[str]:
    """Of the longest cracks or the largest regions, in millimetres where the scale is known."""
    if each.cracks is not None:
        return list(each.crack_figures)
    per_px, unit = (1.0, "px") if each.mm_per_px is None else (each.mm_per_px, "mm")
    return [
        f"{number}: {length * per_px:.0f} {unit} long, {area * per_px**2:.0f} {unit}², peak {peak:.2f}"
        for number, (length, area, peak) in enumerate(each.measured, 1)
    ]


def _shown(run: Path, each: Inspected) -> Shown:
    longest = f"{each.longest_mm:.0f} mm" if each.longest_mm is not None else f"{each.longest_px:.0f} px"
    below = f"photographs/{each.name}"
    return Shown(
        name=each.name,
        verdict=each.verdict,
        peak=each.peak,
        share=each.share,
        regions=each.regions if each.cracks is None else each.cracks,
        longest=longest if each.regions else "",
        longest_px=each.longest_px,
        seconds=each.seconds,
        figures=_figures(each),
        photograph=f"{below}/photograph.jpg" if each.measured_at_all else "",
        overlay=f"{below}/overlay.png" if each.measured_at_all else "",
        thumbnail=(run / below / "thumbnail.jpg").read_bytes() if each.measured_at_all else None,
        error="; ".join(filter(None, (each.error, each.note))),
    )
