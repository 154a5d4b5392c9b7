"""Exports a checkpoint in the formats of other runtimes, and keeps them only where they give the same answers."""

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
from crack_lightning.runs.exporting.parity import TOLERANCE, Compared, compared, compared_deepness, parity_pictures
from crack_lightning.runs.exporting.quantising import Loss, quantised_network
from crack_lightning.runs.exporting.subjects import KINDS, Subject, subject_of
from crack_lightning.runs.inspection.inspection import content_of
from crack_lightning.system.files import expanded, write_atomically
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

CARD, DESCRIPTION = "model_card.md", "model.json"
FORMAT = 1  # of model.json
WITHOUT_SETTINGS = "openvino, no setting"  # as a program opens it that knows of no setting
PLAIN_TYPES = (str, int, float, bool, type(None))


def export_checkpoint(options: ExportOptions, folder: Path) -> list[Path]:
    """Writes a checkpoint in other formats into `folder`, with model.json and a card; returns the files of the network.

    Raises UserError where one of them differs, in which case nothing is written, and for what cannot be exported.
    """
    network, provenance = load_with_provenance(options.ckpt_path)
    earlier = _earlier_files(folder)
    subject = subject_of(network)
    facts = _facts(subject, provenance, options)
    pictures = parity_pictures(subject, options.source, megapixels=options.max_megapixels)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=folder) as name:
        partial = Path(name)
        rows, int8 = _write_formats(subject, facts, options, pictures, partial)
        _check([row for row in rows if row.format != WITHOUT_SETTINGS or subject.marks], bound=int8 is None)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(partial.iterdir())}
        settings = {"settings": {OPENVINO: PRECISE}} if OPENVINO in options.formats else {}
        described = facts | {"inputs": _inputs(), "outputs": subject.outputs, **_parity(rows, int8), "files": files}
        described |= settings  # for programs that open a file
        card = _card(subject, bool(facts["provenance"]), options, list(files), rows, int8)
        for file in files:
            (partial / file).replace(folder / file)
    for file in sorted(set(earlier) - set(files)):  # a folder holds one export
        (folder / file).unlink(missing_ok=True)
        log.info("removed %s, of an earlier export into this folder", file)
    write_atomically(folder / DESCRIPTION, json.dumps(described, indent=2, ensure_ascii=False).encode())
    write_atomically(folder / CARD, card.encode("utf-8", "replace"))
    log.info("%s: %s", ", ".join(files), folder)
    return [folder / file for file in files]


def _earlier_files(folder: Path) -> list[str]:
    """Returns the files of an earlier export in `folder`. Raises UserError for a card or model.json of other origin."""
    names: list[str] | None
    try:
        described = json.loads((folder / DESCRIPTION).read_text())
        names = [str(name) for name in described["files"] if described["kind"] in KINDS and Path(name).name == name]
    except FileNotFoundError:
        names = None if (folder / CARD).exists() else []
    except (ValueError, KeyError, TypeError):
        names = None
    if names is None:
        raise UserError(f"{folder} holds a {DESCRIPTION} or {CARD} that is not of an export: give another out=FOLDER")
    return names


def _facts(subject: Subject, provenance: Mapping[str, object], options: ExportOptions) -> dict[str, Any]:
    """Returns the facts in each file, without folders of this machine, for the file may be published."""
    plain = {key: value for key, value in provenance.items() if isinstance(value, PLAIN_TYPES) and key != "data_root"}
    origin = {"crack_lightning": __version__, "checkpoint_hash": content_of(options.ckpt_path)}
    own = subject.facts | {"format": FORMAT, "kind": subject.kind}
    return own | {"precision": options.precision, "provenance": plain, **origin}


def _write_formats(
    subject: Subject,
    facts: dict[str, Any],
    options: ExportOptions,
    pictures: Sequence[Image.Image],
    partial: Path,
) -> tuple[list[Compared], Loss | None]:
    """Writes the files of all formats into `partial`; returns how each compares, and what eight bits lose."""
    module, rows, int8 = portable(subject.network), list[Compared](), None
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
            exports.write_safe(path, *subject.safe(facts["provenance"]))
            continue
        if name == TORCH_EXPORT:
            exports.write_torch(module, path, facts)
        elif name == ONNX:
            exports.write_onnx(content, path, facts, subject.network.decision)
        else:
            exports.write_openvino(content, path, facts)
        rows += compared(name, exports.run_of(name, path), subject, pictures)
        if name == OPENVINO:
            rows += compared(WITHOUT_SETTINGS, exports.run_without_settings(path), subject, pictures)
    return rows, int8


def _write_for_qgis(
    subject: Subject, module: exports.Portable, pictures: Sequence[Image.Image], partial: Path
) -> list[Compared]:
    network = subject.network
    if not isinstance(module, PortableMap):
        raise UserError("format=deepness is of crack maps, which mark pixels; a classifier judges whole pictures")
    path, names = partial / DEEPNESS_FILE, network.decision.negative_first
    write_deepness(module, path, class_names=names, mm_per_px=network.mm_per_px)
    return compared_deepness(path.read_bytes(), subject, pictures)


def _check(rows: Sequence[Compared], *, bound: bool) -> None:
    """Raises UserError for a row that differs, if `bound`: what int8 may lose is checked where it is quantised."""
    if differing := [row for row in rows if not row.agrees] if bound else []:
        worst = max(differing, key=lambda row: row.difference)
        raise UserError(
            f"{worst.format} differs from the checkpoint by {worst.difference:.1e} in pictures of {worst.size} "
            f"({TOLERANCE:g} is allowed), {worst.differ} of {worst.decisions} decisions: nothing is exported"
        )


def _inputs() -> list[dict[str, object]]:
    return [{"name": "images", "dtype": "uint8", "shape": ["batch", 3, "height", "width"], "colours": "RGB"}]


def _parity(rows: Sequence[Compared], int8: Loss | None) -> dict[str, object]:
    facts: dict[str, object] = {"parity": [asdict(row) for row in rows]}
    return facts if int8 is None else facts | {"int8": asdict(int8)}


def _card(
    subject: Subject,
    trained: bool,
    options: ExportOptions,
    files: Sequence[str],
    rows: Sequence[Compared],
    int8: Loss | None,
) -> str:
    """Returns the card of the checkpoint, or a short one where it has none, with a section on the export."""
    network = subject.network
    return rendered(
        "export_card.md",
        own=_own_card(options.ckpt_path).partition("\n## Export\n")[0].rstrip(),
        backbone=network.backbone,
        is_map=subject.marks,
        trained=trained,
        source=network.weights.get("source", "not known"),
        decision=network.decision,
        files=files,
        precision=options.precision,
        rows=rows,
        int8=int8,
    )


def _own_card(ckpt_path: str | None) -> str:
    """Returns the card of the checkpoint's run, empty where there is none."""
    if ckpt_path is None:
        return ""
    for folder in (expanded(ckpt_path).parent.parent, expanded(ckpt_path).parent):
        if (folder / CARD).is_file():
            return (folder / CARD).read_text("utf-8", "replace")
    return ""
