"""Inspects whole photographs: marks their cracks and writes their files and a report."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from crack_lightning.data.images.reading import reason
from crack_lightning.inference.sources import Photograph, check_output_folder, find_photographs, log_left_out
from crack_lightning.runs.inspection import photograph_files as files
from crack_lightning.runs.inspection.inspected import Inspected, unread_row, write_done
from crack_lightning.runs.inspection.inspection import Inspection, inspection_of
from crack_lightning.runs.inspection.inspection_parts import check_parts, part_lock, photographs_of_part, write_part
from crack_lightning.runs.inspection.method import method_of
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.inspection.photograph_findings import findings_of, read_photograph, write_findings
from crack_lightning.runs.inspection.summary import check_earlier_report, counted, write_summary
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import is_full
from crack_lightning.system.names import plural
from crack_lightning.system.processes import interrupt_message
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

Listener = Callable[[Inspected, int, int], None]  # the photograph just finished, the number finished, the total


def inspect_photographs(options: InspectOptions, folder: Path, listener: Listener | None = None) -> list[Inspected]:
    """Marks the cracks in photographs; writes the report, the table and the files of each photograph into `folder`.

    The field `error` says why a photograph failed. `listener` is called after each photograph. Raises UserError or
    OSError if nothing can be inspected, and OSError for a full disk.
    """
    source = find_photographs(options.source)
    check_output_folder(folder, source.photographs)
    check_earlier_report(folder, [*(photograph.path for photograph in source.photographs), *source.unread])
    log_left_out(source)
    inspection = inspection_of(options, source.photographs)
    if options.shards is not None and options.shard is not None:
        return _inspect_part(source.photographs, folder, inspection, options.shard, options.shards)
    if options.shards is not None:
        check_parts(folder, options.shards, settings=inspection.settings, source=options.source)
    inspected = _inspect(source.photographs, folder, inspection, listener)
    all_rows = [*inspected, *map(unread_row, source.unread)]
    method = method_of(options, inspection.classifier, inspection.decision, inspection.scale)
    classes, prefix = inspection.measuring.classes, options.image_prefix
    write_summary(folder, all_rows, method, classes, options.formats, image_prefix=prefix)
    log.info("%s: %s", counted(inspected), folder / "report.html")
    return inspected


def _inspect(
    photographs: Sequence[Photograph], folder: Path, inspection: Inspection, listener: Listener | None
) -> list[Inspected]:
    count, inspected = len(photographs), list[Inspected]()
    windows = "" if inspection.is_map else f"; a window is {inspection.scale.window_px:.0f} pixels"
    log.info("%s%s", plural(count, "photograph"), windows)
    with interrupt_message(lambda: f"continue with {typed('out', str(folder))}"):
        for photograph in track(photographs, "inspecting", total=count, unit="photographs"):
            inspected.append(inspect_photograph(photograph, folder, inspection))
            if listener is not None:
                listener(inspected[-1], len(inspected), count)
    return inspected


def _inspect_part(
    photographs: Sequence[Photograph], folder: Path, inspection: Inspection, shard: int, shards: int
) -> list[Inspected]:
    """Inspects the photographs of one part, without the report, which is written once all parts are finished."""
    part = photographs_of_part(photographs, shard, shards)
    with part_lock(folder, shard, shards):
        inspected = _inspect(part, folder, inspection, None)
        errors = sum(bool(photograph.error) for photograph in inspected)
        write_part(folder, shard, shards, settings=inspection.settings, photographs=len(part), errors=errors)
    log.info("part %d of %d: %s", shard, shards, counted(inspected))
    return inspected


def inspect_photograph(photograph: Photograph, run: Path, inspection: Inspection) -> Inspected:
    """Inspects one photograph, writes its files and returns its row. If it fails, returns a row with the error; raises
    OSError for a full disk."""
    folder = files.folder_of(run, photograph)
    try:
        key = files.key_of(photograph, inspection.settings)
        return files.done_before(folder, photograph, key) or _inspect_anew(photograph, folder, key, inspection)
    except Exception as error:
        if is_full(error):
            raise
        return _error_row(photograph, error)


def _inspect_anew(photograph: Photograph, folder: Path, key: str, inspection: Inspection) -> Inspected:
    start_s, map_key = time.perf_counter(), files.key_of(photograph, inspection.map_settings)
    kept_heat = files.kept_heat(folder, photograph, map_key)
    read, pictures = read_photograph(photograph, inspection, mapped=kept_heat is None)
    heat = kept_heat or files.as_kept(inspection.reader.heat(pictures))
    del pictures  # frees as much memory as the photograph takes
    findings = findings_of(read, heat, inspection)
    inspected = write_findings(read, heat, findings, folder, map_kept=kept_heat is not None)
    made_of = replace(inspected.made_of, key=key, map_key=map_key)
    inspected = replace(inspected, made_of=made_of, seconds=time.perf_counter() - start_s)
    write_done(folder, inspected)
    return inspected


def _error_row(photograph: Photograph, error: Exception) -> Inspected:
    """Returns the row of a photograph that could not be inspected, with the reason."""
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
