"""Whole photographs to heat maps, regions and a report."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from crack_lightning.data.images.reading import reason
from crack_lightning.inference.sources import Photograph, check_not_among, find_photographs, tell_left_out
from crack_lightning.runs.inspection import photograph_files as files
from crack_lightning.runs.inspection.inspected import Inspected, unread, write_done
from crack_lightning.runs.inspection.inspection import Inspection, inspection_of
from crack_lightning.runs.inspection.inspection_parts import check_parts, of_shard, part_lock, write_part
from crack_lightning.runs.inspection.method import method_of
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.inspection.photograph_findings import read_photograph, write_findings
from crack_lightning.runs.inspection.summary import counted, write_summary
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import is_full
from crack_lightning.system.processes import ctrl_c_says
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

Listener = Callable[[Inspected, int, int], None]  # a photograph that is done, how many are, of how many


def inspect_photographs(options: InspectOptions, folder: Path, listener: Listener | None = None) -> list[Inspected]:
    """Mark the cracks in photographs; the report, the table and the files of each are written into `folder`.

    What went wrong with a photograph is in its `error`. `listener` hears of each as soon as it is done. Raises
    UserError or OSError where nothing can be inspected, and OSError for a full disk.
    """
    source = find_photographs(options.source)
    check_not_among(folder, source.photographs)
    tell_left_out(source)
    inspection = inspection_of(options, source.photographs)
    if options.shards is not None and options.shard is not None:
        return _inspect_part(source.photographs, folder, inspection, options.shard, options.shards)
    if options.shards is not None:
        check_parts(folder, options.shards, settings=inspection.settings, source=options.source)
    found = _inspect(source.photographs, folder, inspection, listener)
    everything = [*found, *map(unread, source.unread)]
    method = method_of(options, inspection.classifier, inspection.decision, inspection.scale)
    classes, prefix = inspection.measuring.classes, options.image_prefix
    write_summary(folder, everything, method, classes, options.formats, image_prefix=prefix)
    log.info("%s: %s", counted(found), folder / "report.html")
    return found


def _inspect(
    photographs: Sequence[Photograph], folder: Path, inspection: Inspection, listener: Listener | None
) -> list[Inspected]:
    """Each photograph, its files into `folder`."""
    count, found = len(photographs), list[Inspected]()
    part = "tile" if inspection.is_map else "window"
    log.info("%d photographs; a %s is %.0f pixels of them", count, part, inspection.scale.window_px)
    with ctrl_c_says(lambda: f"go on with {typed('hydra.run.dir', str(folder))}"):
        for photograph in track(photographs, "inspecting", total=count, unit="photographs"):
            found.append(inspect_photograph(photograph, folder, inspection))
            if listener is not None:
                listener(found[-1], len(found), count)
    return found


def _inspect_part(
    photographs: Sequence[Photograph], folder: Path, inspection: Inspection, shard: int, shards: int
) -> list[Inspected]:
    """Those of one part; the report is written when all parts are done."""
    own = of_shard(photographs, shard, shards)
    with part_lock(folder, shard, shards):
        found = _inspect(own, folder, inspection, None)
        errors = sum(bool(each.error) for each in found)
        write_part(folder, shard, shards, settings=inspection.settings, photographs=len(own), errors=errors)
    log.info("part %d of %d: %s", shard, shards, counted(found))
    return found


def inspect_photograph(photograph: Photograph, run: Path, inspection: Inspection) -> Inspected:
    """The findings of one photograph, and its files; whatever goes wrong with it is its row. A full disk raises."""
    folder = files.folder_of(run, photograph)
    try:
        key = files.key_of(photograph, inspection.settings)
        return files.done_before(folder, photograph, key) or _inspected(photograph, folder, key, inspection)
    except Exception as error:
        if is_full(error):
            raise
        return _failed(photograph, error)


def _inspected(photograph: Photograph, folder: Path, key: str, inspection: Inspection) -> Inspected:
    began_s, map_key = time.perf_counter(), files.key_of(photograph, inspection.map_settings)
    kept = files.kept_heat(folder, photograph, map_key)
    seen, pictures = read_photograph(photograph, inspection, mapped=kept is None)
    heat = kept or files.as_kept(inspection.reader.heat(pictures))
    del pictures  # as large as the photograph
    found = write_findings(seen, heat, folder, inspection)
    made_of = replace(found.made_of, key=key, map_key=map_key)
    found = replace(found, made_of=made_of, seconds=time.perf_counter() - began_s)
    write_done(folder, found)
    return found


def _failed(photograph: Photograph, error: Exception) -> Inspected:
    """The row of a photograph that was not inspected, with the reason and the remedy."""
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
