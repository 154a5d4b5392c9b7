"""Files of exported networks: written and opened, in the formats of three runtimes."""

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crack_lightning.engines.foreign import OWN, archive_contents, check_archive, checked_onnx
from crack_lightning.engines.names import ONNX, OPENVINO, TORCH_EXPORT
from crack_lightning.engines.onnx import OPSET, exported, onnx_session, write_model
from crack_lightning.engines.openvino import Compiled, openvino_runtime
from crack_lightning.engines.portable import (
    CRACK_MAP,
    INPUT,
    LOGITS,
    PROBABILITIES,
    PortableClassifier,
    PortableMap,
    portable,
)
from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.models.checkpoint import EXPORTED
from crack_lightning.models.exported import Exported, Run, exported_network, network_of

FILES = {ONNX: "model.onnx", OPENVINO: "model.xml", TORCH_EXPORT: "model.pt2"}
SUFFIXES = dict(zip(EXPORTED, (ONNX, OPENVINO, TORCH_EXPORT), strict=True))
KEY = "crack_lightning"  # of what a file says of itself
SAMPLE_HW = (203, 301)  # of the pictures that are traced
LEAST_PX = 8  # of a side that torch.export is told of
SIDES = {"batch": {}, "height": {"min": LEAST_PX}, "width": {"min": LEAST_PX}}

Portable = PortableClassifier | PortableMap


def is_export(path: Path) -> bool:
    """Whether a file is an export, by its name."""
    return path.suffix.lower() in SUFFIXES


def open_export(path: Path) -> Exported:
    """The network in a file that `write_*` wrote. Raises UserError that names the file for any other, and for one that
    is damaged, lacks a part or holds what would have to be run."""
    opener = {ONNX: _open_onnx, OPENVINO: _open_openvino, TORCH_EXPORT: _open_torch}[SUFFIXES[path.suffix.lower()]]
    try:
        if not path.is_file():
            raise UserError("there is no such file")
        run, facts = opener(path)
        return exported_network(run, facts)
    except MissingPackage:
        raise
    except UserError as error:
        raise UserError(f"ckpt_path={path} cannot be used: {error}") from error
    except Exception as error:  # runtimes raise whatever they like on damaged files
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"ckpt_path={path} is damaged or of another kind ({reason}): export again") from error


def onnx_bytes(network: Portable) -> bytes:
    """`network` as ONNX, of any number of pictures of any size."""
    axes = {0: "batch", 1: "height/4", 2: "width/4"}
    dynamic = {PROBABILITIES: {0: "batch"}}
    if isinstance(network, PortableMap):
        dynamic = {CRACK_MAP: axes, LOGITS: {0: "batch", 2: axes[1], 3: axes[2]}}
    sample = torch.randint(0, 256, (2, 3, *SAMPLE_HW), dtype=torch.uint8)
    return exported(network, sample, input_name=INPUT, dynamic=dynamic)


def write_onnx(network: bytes, path: Path, facts: Mapping[str, Any]) -> None:
    """`network` with `facts` as its metadata: all of them under KEY, and some under names of their own."""
    import onnx

    model = onnx.load_from_string(network)
    named = {"class_names": facts["decision"]["class_names"], "threshold": facts["decision"]["threshold"]}
    write_model(model, path, {KEY: facts, **named, "opset": OPSET})


def write_openvino(network: bytes, path: Path, facts: Mapping[str, Any]) -> None:
    """OpenVINO's intermediate representation of the same ONNX file: .xml, and .bin beside it."""
    openvino = openvino_runtime()
    model = openvino.Core().read_model(network)
    model.set_rt_info(json.dumps(facts, ensure_ascii=True), [KEY])
    openvino.save_model(model, str(path), compress_to_fp16=False)


def write_torch(network: Portable, path: Path, facts: Mapping[str, Any]) -> None:
    """What `torch.export` makes of `network`."""
    batch, height, width = (torch.export.Dim(name, **side) for name, side in SIDES.items())
    sample = torch.randint(0, 256, (2, 3, *SAMPLE_HW), dtype=torch.uint8)
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            network,
            (sample,),
            dynamic_shapes=({0: batch, 2: height, 3: width},),
            prefer_deferred_runtime_asserts_over_guards=True,  # the size of a map divides by 32 and rounds up
        )
        program._example_inputs = None  # 366 kB of noise
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it names folders of this machine
        torch.export.save(program, path, extra_files={KEY: json.dumps(facts)})


def _open_onnx(path: Path) -> tuple[Run, Any]:
    facts = checked_onnx(path, KEY)
    session = onnx_session(path.read_bytes(), one_size=False)
    if [each.name for each in session.get_inputs()] != [INPUT]:
        raise UserError(f"its input is not {INPUT}: export again")

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(output) for output in session.run(None, {INPUT: images.contiguous().numpy()})]

    return run, facts


def _open_openvino(path: Path) -> tuple[Run, Any]:
    if not path.with_suffix(".bin").is_file():
        raise UserError(f"{path.with_suffix('.bin').name}, which has its weights, is not beside it")
    core = openvino_runtime().Core()
    model = core.read_model(path)
    if not model.has_rt_info([KEY]):
        raise UserError(OWN)
    facts = json.loads(model.get_rt_info([KEY]).astype(str))
    return Compiled(model), facts


def _open_torch(path: Path) -> tuple[Run, Any]:
    """The weights of an archive in a network that is built here: to open its graph would be to run what it says."""
    check_archive(path)
    facts, weights = archive_contents(path, KEY)
    exported_network(lambda images: [], facts)  # checked before anything is built from it
    network = portable(network_of(facts))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:  # other names or shapes
        raise UserError("its weights do not fit the network that it describes: export again") from error

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return as_list(network(images))

    return run, facts


def open_own_torch(path: Path) -> Exported:
    """The network as torch itself opens an archive, which runs what it says: of files that were just written."""
    extra = {KEY: ""}
    with _quiet():
        module = torch.export.load(path, extra_files=extra).module()

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return as_list(module(images))

    return exported_network(run, json.loads(extra[KEY]))


def as_list(found: Any) -> list[Tensor]:
    """One output, or several, as a list."""
    return list(found) if isinstance(found, Sequence) else [found]


@contextmanager
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
