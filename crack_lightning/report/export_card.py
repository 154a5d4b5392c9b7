"""What a reader of an export must know: the card of its checkpoint, and how the export compares with it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from crack_lightning.report.cards import front_matter, table

OPENED = ("model.onnx", "model.xml", "model.pt2", "model.safetensors")  # by a command, of those that there are
PACKAGE = (
    "The crack map that comes with crack_lightning: a linear head on features of a frozen MobileNetV2 at six depths, "
    "trained on cracks that the project draws and on no photograph of a crack. It misses hairlines and marks joints, "
    "edges and plants; it says where to look first, and never that there is no crack."
)


class Row(Protocol):
    """A comparison of one format at one size."""

    @property
    def format(self) -> str: ...
    @property
    def size(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def difference(self) -> float: ...
    @property
    def decisions(self) -> int: ...
    @property
    def differ(self) -> int: ...


def export_card(own: str, facts: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The card in Markdown: `own`, that of the checkpoint, or a short one, and a section on the export."""
    head = own.partition("\n## Export\n")[0].rstrip() or _head(facts)
    return "\n\n".join([head, "## Export", _files(facts), *_int8(facts), _parity(rows), _use(facts)]) + "\n"


def _head(facts: Mapping[str, Any]) -> str:
    is_map = facts["kind"] == "crack_map"
    name = f"crack map of {facts['backbone']}" if is_map else f"{facts['backbone']} with a linear head"
    task = "image-segmentation" if is_map else "image-classification"
    text = PACKAGE if is_map and not facts["provenance"] else "Exported from a checkpoint without a card of its own."
    weights = facts["weights"].get("source", "not known")
    parts = [front_matter(task, name, "", []), f"# {name}", text, f"Weights of the backbone: {weights}."]
    return "\n\n".join(parts)


def _files(facts: Mapping[str, Any]) -> str:
    names, decision = facts["decision"]["class_names"], facts["decision"]
    lines = [
        f"Files: {', '.join(f'`{name}`' for name in facts['files'])}; precision {facts['precision']}; made by "
        f"crack_lightning {facts['crack_lightning']}.",
        "In: `images`, uint8 RGB, (batch, 3, height, width), of any size; everything else is inside.",
    ]
    if facts["kind"] == "crack_map":
        lines.append(
            "Out: `crack_map`, probabilities of cells of 4 pixels, (batch, height/4, width/4) rounded up, cracked from "
            "0.5 on, above each picture's own median; `logits` (batch, 2, height/4, width/4) of the head that marks "
            "cells and of the one that judges patches, from which `inspect` and `predict` compute."
        )
    else:
        lines.append(
            f"Out: `probabilities` (batch, 2) of {names[0]} and {names[1]}, calibrated; {decision['positive_class']} "
            f"from {decision['threshold']:.4g} on."
        )
    return "\n\n".join(lines)


def _int8(facts: Mapping[str, Any]) -> list[str]:
    judged = facts.get("int8")
    if judged is None:
        return []
    names = [name for name in judged["before"] if name in judged["after"]]
    rows = [(name, f"{judged['before'][name]:.4f}", f"{judged['after'][name]:.4f}") for name in names]
    text = (
        f"Eight bits, per channel, calibrated on {judged['calibrated_on']} pictures ({judged['pictures']}) and judged "
        f"on {judged['judged_on']} others; {judged['lost']:.4f} is lost of {judged['measure']}."
    )
    return [f"{text}\n\n{table(('', 'float32', 'int8'), rows)}" if rows else text]


def _parity(rows: Sequence[Row]) -> str:
    lines = [
        (row.format, row.size, str(row.batch), f"{row.difference:.1e}", f"{row.differ} of {row.decisions}")
        for row in rows
    ]
    header = ("format", "size", "batch", "largest difference of a probability", "decisions that differ")
    return "Compared with the checkpoint:\n\n" + table(header, lines) if lines else "Nothing was compared."


def _use(facts: Mapping[str, Any]) -> str:
    verb = "inspect" if facts["kind"] == "crack_map" else "predict"
    first = next((name for name in OPENED if name in facts["files"]), "model.onnx")
    return f"```\npython -m crack_lightning.{verb} ckpt_path={first} source=/photos\n```"
