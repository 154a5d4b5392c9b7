"""Exports a checkpoint in the formats of other runtimes, and keeps the files only if they give the same answers."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from crack_lightning import __version__
from crack_lightning.engines import exports
from crack_lightning.engines.deepness import FILE as DEEPNESS_FILE
from crack_lightning.engines.deepness import write_deepness
from crack_lightning.engines.engine_names import DEEPNESS, ONNX, OPENVINO, SAFETENSORS, TORCH_EXPORT
from crack_lightning.engines.openvino import PRECISE
from crack_lightning.engines.portable import PortableMap, portable
from crack_lightning.errors import UserError
from crack_lightning.models.map_checkpoint import load_with_provenance
from crack_lightning.report.templates import rendered
from crack_lightning.runs.exporting.options import INT8, ExportOptions
from crack_lightning.runs.exporting.parity import TOLERANCE, Comparison, compare, compare_deepness, parity_pictures
from crack_lightning.runs.exporting.quantising import Loss, quantised_network
from crack_lightning.runs.exporting.subjects import KINDS, Subject, subject_of
from crack_lightning.runs.inspection.inspection import content_of
from crack_lightning.system.files import expanded, write_atomically
from crack_lightning.system.libraries import library
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

CARD, DESCRIPTION = "model_card.md", "model.json"
FORMAT_VERSION = 1  # version of model.json
NO_SETTINGS_NAME = "openvino, no setting"  # row for OpenVINO opened without the settings that model.json recommends
PLAIN_TYPES = (str, int, float, bool, type(None))


def export_checkpoint(options: ExportOptions, folder: Path) -> list[Path]:
    """Writes a checkpoint in other formats into `folder`, with model.json and a card; returns the files of the network.

    Raises UserError if a file's answers differ from the checkpoint's, and for what cannot be exported; nothing is
    written then.
    """
    _check_libraries(options.formats)
    network, provenance = load_with_provenance(options.ckpt_path)
    earlier_files = _earlier_files(folder)
    subject = subject_of(network)
    facts = _facts(subject, provenance, options)
    pictures = parity_pictures(subject, options.source, megapixels=options.max_megapixels)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=folder) as name:
        partial = Path(name)
        rows, int8 = _write_formats(subject, facts, options, pictures, partial)
        _check([row for row in rows if row.format != NO_SETTINGS_NAME or subject.is_map], must_agree=int8 is None)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(partial.iterdir())}
        settings = {"settings": {OPENVINO: PRECISE}} if OPENVINO in options.formats else {}
        described = facts | {"inputs": _inputs(), "outputs": subject.outputs, **_parity(rows, int8), "files": files}
        described |= settings  # how programs are to open a file
        card = _card(subject, bool(facts["provenance"]), options, list(files), rows, int8)
        for file in files:
            (partial / file).replace(folder / file)
    for file in sorted(set(earlier_files) - set(files)):  # a folder holds one export
        (folder / file).unlink(missing_ok=True)
        log.info("removed %s, which an earlier export wrote into this folder", file)
    write_atomically(folder / DESCRIPTION, json.dumps(described, indent=2, ensure_ascii=False).encode())
    write_atomically(folder / CARD, card.encode("utf-8", "replace"))
    log.info("%s: %s", ", ".join(files), folder)
    return [folder / file for file in files]


def _check_libraries(formats: Sequence[str]) -> None:
    """Raises MissingPackage, with the pip command, before anything slow if a format needs a library that is missing."""
    needed = {"onnx": {ONNX, OPENVINO, DEEPNESS}, "onnxruntime": {ONNX, DEEPNESS}, "openvino": {OPENVINO}}
    extras = {"onnx": "onnx", "onnxruntime": "onnx", "openvino": "openvino"}
    for package, users in needed.items():
        if wanted := [name for name in formats if name in users]:
            library(package, f'format={wanted[0]} needs {package}: pip install -e ".[{extras[package]}]"')


def _earlier_files(folder: Path) -> list[str]:
    """Returns the files of an earlier export in `folder`. Raises UserError if a card or model.json there is not from an
    export."""
    names: list[str] | None
    try:
        described = json.loads((folder / DESCRIPTION).read_text())
        names = [str(name) for name in described["files"] if described["kind"] in KINDS and Path(name).name == name]
    except FileNotFoundError:
        names = None if (folder / CARD).exists() else []
    except (ValueError, KeyError, TypeError):
        names = None
    if names is None:
        raise UserError(f"{folder} holds a {DESCRIPTION} or {CARD} that is not from an export: give another out=FOLDER")
    return names


def _facts(subject: Subject, provenance: Mapping[str, object], options: ExportOptions) -> dict[str, Any]:
    """Returns the facts that each file holds, without the folders of this machine, since the file may be published."""
    plain = {key: value for key, value in provenance.items() if isinstance(value, PLAIN_TYPES) and key != "data_root"}
    origin = {"crack_lightning": __version__, "checkpoint_hash": content_of(options.ckpt_path)}
    network_facts = subject.facts | {"format": FORMAT_VERSION, "kind": subject.kind}
    return network_facts | {"precision": options.precision, "provenance": plain, **origin}


def _write_formats(
    subject: Subject,
    facts: dict[str, Any],
    options: ExportOptions,
    pictures: Sequence[Image.Image],
    partial: Path,
) -> tuple[list[Comparison], Loss | None]:
    """Writes the files of all formats into `partial`; returns the comparisons with the checkpoint, and the loss by
    int8, None for float32."""
    module, rows, int8 = portable(subject.network), list[Comparison](), None
    if {ONNX, OPENVINO} & set(options.formats):
        content = exports.onnx_bytes(module)
        if options.precision == INT8:
            quantised = quantised_network(content, subject, options)
            content, int8 = quantised.content, quantised.loss
    for name in track(options.formats, "exporting", total=len(options.formats), unit="files"):
        if name == DEEPNESS:
            rows += _write_for_qgis(subject, module, pictures, partial)
            continue
        path = partial / exports.FILES[name]
        if name == SAFETENSORS:
            exports.write_safe(path, *subject.safetensors_content(facts["provenance"]))
            continue
        if name == TORCH_EXPORT:
            exports.write_torch(module, path, facts)
        elif name == ONNX:
            exports.write_onnx(content, path, facts, subject.network.decision)
        else:
            exports.write_openvino(content, path, facts)
        rows += compare(name, exports.run_of(name, path), subject, pictures)
        if name == OPENVINO:
            rows += compare(NO_SETTINGS_NAME, exports.run_without_settings(path), subject, pictures)
    return rows, int8


def _write_for_qgis(
    subject: Subject, module: exports.Portable, pictures: Sequence[Image.Image], partial: Path
) -> list[Comparison]:
    network = subject.network
    if not isinstance(module, PortableMap):
        raise UserError("format=deepness is available for crack maps only: a classifier judges whole pictures")
    path, names = partial / DEEPNESS_FILE, network.decision.negative_first
    write_deepness(module, path, class_names=names, mm_per_px=network.mm_per_px)
    return compare_deepness(path.read_bytes(), subject, pictures)


def _check(rows: Sequence[Comparison], *, must_agree: bool) -> None:
    """Raises UserError for a row that does not agree. With int8 rows need not agree: its loss is checked on
    quantising."""
    if differing := [row for row in rows if not row.agrees] if must_agree else []:
        worst = max(differing, key=lambda row: row.difference)
        raise UserError(
            f"{worst.format} differs from the checkpoint by {worst.difference:.1e} on pictures of {worst.size} "
            f"({TOLERANCE:g} is allowed) and in {worst.differ} of {worst.decisions} decisions: nothing is exported"
        )


def _inputs() -> list[dict[str, object]]:
    return [{"name": "images", "dtype": "uint8", "shape": ["batch", 3, "height", "width"], "colours": "RGB"}]


def _parity(rows: Sequence[Comparison], int8: Loss | None) -> dict[str, object]:
    facts: dict[str, object] = {"parity": [asdict(row) for row in rows]}
    return facts if int8 is None else facts | {"int8": asdict(int8)}


def _card(
    subject: Subject,
    trained: bool,
    options: ExportOptions,
    files: Sequence[str],
    rows: Sequence[Comparison],
    int8: Loss | None,
) -> str:
    """Returns the checkpoint's card, or a short card if it has none, with a section on the export."""
    network = subject.network
    return rendered(
        "export_card.md",
        own=_own_card(options.ckpt_path).partition("\n## Export\n")[0].rstrip(),
        backbone=network.backbone,
        is_map=subject.is_map,
        trained=trained,
        source=network.weights.get("source", "not known"),
        decision=network.decision,
        files=files,
        precision=options.precision,
        rows=rows,
        int8=int8,
    )


def _own_card(ckpt_path: str | None) -> str:
    """Returns the card of the checkpoint's run, an empty text if there is none."""
    if ckpt_path is None:
        return ""
    for folder in (expanded(ckpt_path).parent.parent, expanded(ckpt_path).parent):
        if (folder / CARD).is_file():
            return (folder / CARD).read_text("utf-8", "replace")
    return ""
