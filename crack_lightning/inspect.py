"""python -m crack_lightning.inspect: whole photographs to heat maps, regions and a report."""

import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from crack_lightning import __version__
from crack_lightning.cli.command import command, ctrl_c_says, plain, run_folder

if TYPE_CHECKING:
    from crack_lightning.inference.heat import Heat
    from crack_lightning.inference.photographs import PhotographReader, Scale
    from crack_lightning.inference.regions import Region
    from crack_lightning.inference.sources import Photograph
    from crack_lightning.models.classifier import CrackClassifier
    from crack_lightning.runs.photograph_files import Inspected

log = logging.getLogger(__name__)

RESULT_KEYS = ("windows", "scales", "threshold", "mm_per_px", "overlay_px")  # whatever changes what is found or left


def inspect(cfg: DictConfig) -> None:
    """Mark the cracks in photographs; exit status 1 if there were any that could not be read."""
    from crack_lightning.inference.patches import pick_device
    from crack_lightning.inference.photographs import PhotographReader, Scale, window_px
    from crack_lightning.inference.sources import check_not_among, find_photographs, tell_left_out
    from crack_lightning.models.checkpoint import load_classifier
    from crack_lightning.runs import photograph_files as files
    from crack_lightning.system.arguments import typed
    from crack_lightning.system.files import content_hash, expanded
    from crack_lightning.system.progress import track

    options = plain(cfg)
    _check(options)
    classifier = load_classifier(options["ckpt_path"]).to(pick_device(options["device"]))
    classifier.decision = replace(classifier.decision, threshold=options["threshold"] or classifier.decision.threshold)
    source, folder = find_photographs(options["source"]), run_folder()
    check_not_among(folder, source.photographs)
    tell_left_out(source)
    side_px = window_px(classifier, tile_px=options["tile_px"], mm_per_px=options["mm_per_px"])
    log.info("%d photographs; a window is %.0f pixels of them", len(source.photographs), side_px)
    if _unscaled(classifier, options):
        log.warning("the checkpoint does not know the scale that it learned at: photographs are not brought to it")
    reader = PhotographReader(classifier, **{key: options[key] for key in ("engine", "windows", "memory_mb")})
    scale = Scale(side_px, options["scales"])
    kept = content_hash(expanded(options["ckpt_path"]).absolute())
    settings = f"{kept}:{side_px}:{[options[key] for key in RESULT_KEYS]}"
    found: list[Inspected] = []
    with ctrl_c_says(lambda: f"go on with {typed('hydra.run.dir', str(folder))}"):
        for each in track(source.photographs, "inspecting", total=len(source.photographs), unit="photographs"):
            found.append(_inspected(each, folder, reader, scale, options, settings))
    files.write_summary(folder, [*found, *map(files.unread, source.unread)], _method(classifier, side_px, options))
    log.info("%s: %s", files.counted(found), folder / "report.html")
    if any(each.error for each in found):
        sys.exit(1)


def _inspected(
    photograph: "Photograph",
    run: Path,
    reader: "PhotographReader",
    scale: "Scale",
    options: Mapping[str, Any],
    settings: str,
) -> "Inspected":
    """The findings of one photograph, and its files; whatever goes wrong with it is its row. A full disk ends all."""
    from crack_lightning.runs import photograph_files as files
    from crack_lightning.system.files import is_full

    folder = files.folder_of(run, photograph)
    try:
        key = files.key_of(photograph, settings)
        return files.done_before(folder, key) or _found(photograph, folder, key, reader, scale, options)
    except Exception as error:
        if is_full(error):
            raise
        return _unread(photograph, error)


def _found(
    photograph: "Photograph",
    folder: Path,
    key: str,
    reader: "PhotographReader",
    scale: "Scale",
    options: Mapping[str, Any],
) -> "Inspected":
    from crack_lightning.data.images.reading import read_picture
    from crack_lightning.inference.overlay import reduced
    from crack_lightning.inference.photographs import check_enlarged
    from crack_lightning.inference.regions import regions
    from crack_lightning.runs import photograph_files as files

    started_s = time.perf_counter()
    picture = read_picture(photograph.path, megapixels=options["max_megapixels"])
    image, notes = picture.image, [picture.doubt, _further(picture.pages)]
    check_enlarged(image.size, scale, reader.classifier.image_size, megapixels=options["max_megapixels"])
    if max(image.size) < scale.window_px / 2:
        text = "%d x %d pixels are less than half a window of %.0f each way, too few to judge; check mm_per_px, tile_px"
        notes.append(text % (*image.size, scale.window_px))
    note = "; ".join(filter(None, notes))
    if note:
        log.warning("%s: %s", photograph.path, note)
    pictures, small = reader.scaled(image, scale), reduced(image, options["overlay_px"])
    del image, picture  # of a large photograph most of the memory
    heat = reader.heat(pictures)
    marked = regions(heat, reader.classifier.decision.threshold)
    found = _findings(photograph, heat, marked, reader.classifier, options["mm_per_px"])
    verdict = "review" if note and found.verdict == "sound" else found.verdict
    found = replace(found, verdict=verdict, note=note, key=key, seconds=time.perf_counter() - started_s)
    files.write_photograph(folder, small, heat, marked, found, mm_per_px=options["mm_per_px"])
    return found


def _further(pages: int) -> str:
    return "" if pages < 2 else f"page 1 of {pages}: the others are not looked at, save each as a file"


def _unread(photograph: "Photograph", error: Exception) -> "Inspected":
    """The row of a photograph that was not inspected, with the reason and the remedy."""
    from crack_lightning.data.images.reading import reason
    from crack_lightning.runs.photograph_files import Inspected

    if isinstance(error, ValueError):
        text = str(error)
    elif isinstance(error, OSError):
        text = f"{photograph.path} cannot be read: {reason(error)}"
    else:
        text = f"{photograph.path} cannot be inspected: {type(error).__name__}: {error}"
        log.debug("", exc_info=error)
    text = text if str(photograph.path) in text else f"{photograph.path}: {text}"
    log.error("%s", text)
    return Inspected(photograph.name, str(photograph.path), "error", error=text)


def _findings(
    photograph: "Photograph",
    heat: "Heat",
    marked: "Sequence[Region]",
    classifier: "CrackClassifier",
    mm_per_px: float | None,
) -> "Inspected":
    from crack_lightning.runs.photograph_files import MEASURED, Inspected, grid_facts

    peak = float(heat.probability.max())
    review = bool(classifier.decision.needs_review(heat.probability).any())
    longest = max((region.length_px for region in marked), default=0.0)
    height, width = heat.size_hw
    return Inspected(
        name=photograph.name,
        path=str(photograph.path),
        verdict="cracked" if marked else "review" if review else "sound",
        peak=peak,
        share=min(1.0, sum(region.area_px for region in marked) / (height * width)),
        regions=len(marked),
        longest_px=longest,
        mm_per_px=mm_per_px,
        height_px=height,
        width_px=width,
        heat_map=grid_facts(heat),
        measured=[[each.length_px, each.area_px, each.peak] for each in marked[:MEASURED]],
    )


def _check(options: Mapping[str, Any]) -> None:
    """Refuse what is out of range before anything is read."""
    from crack_lightning.engines.engines import check_engine
    from crack_lightning.inference.photographs import WINDOWS

    check_engine(options["engine"])
    if options["windows"] not in WINDOWS:
        raise ValueError(f"windows={options['windows']}: one of {', '.join(WINDOWS)}")
    for key in ("mm_per_px", "tile_px", "memory_mb", "max_megapixels", "overlay_px"):
        value = options[key]
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{key}={value}: above 0")
    if options["threshold"] is not None and not 0 < options["threshold"] <= 1:
        raise ValueError(f"threshold={options['threshold']}: above 0, at most 1, or null for the checkpoint's")
    if not options["scales"] or not all(0 < factor <= 16 for factor in options["scales"]):
        raise ValueError(f"scales={options['scales']}: numbers above 0 and at most 16, such as [1.0,2.0]")


def _unscaled(classifier: "CrackClassifier", options: Mapping[str, Any]) -> bool:
    """Whether photographs of a known scale are looked at as they are, since the checkpoint does not know its own."""
    return options["mm_per_px"] is not None and classifier.mm_per_px is None and options["tile_px"] is None


def _method(classifier: "CrackClassifier", side_px: float, options: Mapping[str, Any]) -> dict[str, str]:
    """What the report says of how it came about."""
    mm_per_px, scales = options["mm_per_px"], options["scales"]
    side = f"{side_px:.0f} px" + ("" if mm_per_px is None else f", {side_px * mm_per_px:.0f} mm")
    wider = "" if scales == [1.0] else f", times {', '.join(f'{factor:g}' for factor in scales)}"
    unscaled = ", that of the training pictures is not known" if _unscaled(classifier, options) else ""
    return {
        "source": str(options["source"]),
        "inspected": f"{datetime.now():%Y-%m-%d %H:%M}",
        "checkpoint": str(options["ckpt_path"]),
        "network": classifier.backbone,
        "threshold": f"{classifier.decision.threshold:.3f}",
        "window": side + wider,
        "scale": "not known" if mm_per_px is None else f"{mm_per_px:g} mm a pixel{unscaled}",
        "crack_lightning": __version__,
    }


def main() -> None:
    command(inspect, config_name="inspect", needs="torchvision")


if __name__ == "__main__":
    main()
