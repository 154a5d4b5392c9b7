"""Exports are looked through before a runtime gets them: nothing in a file is run that could be anything."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crack_lightning.errors import MissingPackage, UserError

OWN = "it was not exported by crack_lightning"
DOMAINS = ("", "ai.onnx")  # ONNX's own operators
MEMBERS = re.compile(
    r"[^/]+/(archive_format|archive_version|version|byteorder|\.data/[\w-]+|\.format_version|\.storage_alignment|"
    r"models/model\.json|extra/crack_lightning|data/(weights|constants)/(weight_\d+|tensor_\d+|model_\w+\.json|"
    r"\w+_config\.json)|data/sample_inputs/model\.pt)"
)
FLOAT32 = 7  # in the schema of torch.export
PICKLED = re.compile(r'"use_pickle"\s*:\s*true')


def checked_onnx(path: Path, key: str) -> Any:
    """What an ONNX file says of itself under `key`. Raises UserError for one that is damaged, lacks its weights, was
    not written here, or has operators that are not ONNX's own."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingPackage('onnx is not installed: pip install -e ".[onnx]"') from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own
        raise UserError(f"it is damaged or no ONNX file ({type(error).__name__}): export again") from error
    for place in _external(model):
        raise UserError(f"weights of it are in another file ({place}), which an export of this project never has")
    domains = {each.domain for each in model.opset_import} | {node.domain for node in model.graph.node}
    if custom := sorted(domains - {*DOMAINS}):
        raise UserError(f"it has operators of {', '.join(custom)}, which are not ONNX's own: they are not run")
    found = {entry.key: entry.value for entry in model.metadata_props}
    if key not in found:
        for_qgis = "model_type" in found and "seg_thresh" in found
        raise UserError("it is for QGIS's plugin Deepness; export format=onnx too" if for_qgis else OWN)
    try:
        return json.loads(found[key])
    except ValueError as error:
        raise UserError(f"its metadata is no JSON ({error})") from error


def archive_contents(path: Path, key: str) -> tuple[Any, dict[str, Tensor]]:
    """What an archive of torch.export says of itself, and its weights by name; nothing in it is run."""
    with zipfile.ZipFile(path) as archive:
        top = archive.namelist()[0].partition("/")[0]
        facts = json.loads(archive.read(f"{top}/extra/{key}"))
        described = json.loads(archive.read(f"{top}/data/weights/model_weights_config.json"))["config"]
        weights = {name: _weight(archive, top, entry) for name, entry in described.items()}
    return facts, weights


def _weight(archive: zipfile.ZipFile, top: str, entry: dict[str, Any]) -> Tensor:
    meta = entry["tensor_meta"]
    if entry["use_pickle"] or meta["dtype"] != FLOAT32:
        raise UserError("its weights are not of 32 bits: export again")
    values = np.frombuffer(archive.read(f"{top}/data/weights/{entry['path_name']}"), "<f4").copy()
    sizes, strides = ([int(each["as_int"]) for each in meta[name]] for name in ("sizes", "strides"))
    return torch.from_numpy(values).as_strided(sizes, strides, int(meta["storage_offset"]["as_int"]))


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors of a graph, and of the graphs in it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]
            for inner in [attribute.g, *attribute.graphs]:
                yield from _tensors(inner)


def _external(model: Any) -> Iterator[str]:
    for tensor in _tensors(model.graph):
        if tensor.data_location == 1:
            yield next((entry.value for entry in tensor.external_data if entry.key == "location"), "not named")


def check_archive(path: Path) -> None:
    """Raise UserError for an archive of torch.export that is damaged, not written here, or holds anything but what one
    of this project does: no pickled objects. Its graph is never opened."""
    if not zipfile.is_zipfile(path):
        raise UserError("it is damaged or no archive of torch.export: export again")
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise UserError(f"{damaged} in it is damaged: export again")
        names = archive.namelist()
        if not any(name.endswith("/extra/crack_lightning") for name in names):
            raise UserError(OWN)
        if odd := [name for name in names if not MEMBERS.fullmatch(name)]:
            raise UserError(f"it holds {odd[0]}, which is not of an export of this project: it is not opened")
        for name in names:
            text = archive.read(name).decode("utf-8", "replace") if name.endswith(".json") else ""
            if PICKLED.search(text):
                raise UserError(f"{name} in it names pickled objects, which can run code: it is not opened")
            if name.endswith("sample_inputs/model.pt"):
                _check_plain(archive.read(name))


def _check_plain(content: bytes) -> None:
    """Raise UserError for a pickle of anything but plain data: torch.export would open it all the same."""
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # of pickles and archives
        raise UserError("its sample inputs are no plain data, and could run code: it is not opened") from error
