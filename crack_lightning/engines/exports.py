"""Writes networks for three runtimes (ONNX, OpenVINO, torch.export) and as safetensors, and runs the written files."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crack_lightning.engines.engine_names import ONNX, OPENVINO, SAFETENSORS, TORCH_EXPORT
from crack_lightning.engines.onnx import OPSET, onnx_session, to_onnx, write_model
from crack_lightning.engines.openvino import Compiled, openvino_runtime, write_precise
from crack_lightning.engines.portable import INPUT, PortableClassifier, PortableMap
from crack_lightning.models.decision import Decision

FILES = {ONNX: "model.onnx", OPENVINO: "model.xml", TORCH_EXPORT: "model.pt2", SAFETENSORS: "model.safetensors"}
METADATA_KEY = "crack_lightning"  # key of the network's facts in a file's metadata
SAMPLE_HW = (203, 301)  # height and width of the random pictures with which networks are traced
MIN_SIDE_PX = 17  # smallest side of a picture that a torch.export file accepts: two cells at a quarter of the size
DYNAMIC_AXES = {"batch": {}, "height": {"min": MIN_SIDE_PX}, "width": {"min": MIN_SIDE_PX}}

Portable = PortableClassifier | PortableMap
Run = Callable[[Tensor], Sequence[Tensor]]  # pictures (N, 3, h, w) uint8 to the outputs, in their order


def onnx_bytes(network: Portable) -> bytes:
    """Returns `network` as an ONNX file for any number of pictures of any size."""
    sample = torch.randint(0, 256, (2, 3, *SAMPLE_HW), dtype=torch.uint8)
    return to_onnx(network, sample, input_name=INPUT, dynamic=network.axes)


def write_onnx(network: bytes, path: Path, facts: Mapping[str, object], decision: Decision) -> None:
    """Writes an ONNX file with `facts`, class names and threshold in its metadata."""
    import onnx

    model = onnx.load_from_string(network)
    settings = {"class_names": list(decision.class_names), "threshold": decision.threshold}
    write_model(model, path, {METADATA_KEY: facts, **settings, "opset": OPSET})


def write_openvino(network: bytes, path: Path, facts: Mapping[str, object]) -> None:
    """Writes an ONNX file, given as bytes, in OpenVINO's format: .xml, and .bin beside it."""
    openvino = openvino_runtime()
    model = openvino.Core().read_model(network)
    model.set_rt_info(json.dumps(facts, ensure_ascii=True), [METADATA_KEY])
    write_precise(model, path)


def write_torch(network: Portable, path: Path, facts: Mapping[str, object]) -> None:
    """Writes `network` as a file of `torch.export`."""
    batch, height, width = (torch.export.Dim(name, **side) for name, side in DYNAMIC_AXES.items())
    sample = torch.randint(0, 256, (2, 3, *SAMPLE_HW), dtype=torch.uint8)
    with _ignored_warnings(), torch.no_grad():
        program = torch.export.export(
            network,
            (sample,),
            dynamic_shapes=({0: batch, 2: height, 3: width},),
            prefer_deferred_runtime_asserts_over_guards=True,  # for map sizes: a side divided by 32 and rounded up
        )
        program._example_inputs = None  # else the file holds the sample: 366 kB of noise
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # stack traces name folders of this machine
        torch.export.save(program, path, extra_files={METADATA_KEY: json.dumps(facts)})


def write_safe(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object]) -> None:
    """Writes named tensors as safetensors, with plain values as metadata."""
    from safetensors.torch import save

    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    path.write_bytes(save(contiguous, metadata={**texts, "format": "pt"}))


def run_of(name: str, path: Path) -> Run:
    """Returns a function that runs the file at `path`, in the format `name`, as another program would."""
    return {ONNX: _run_onnx, OPENVINO: _run_openvino, TORCH_EXPORT: _run_torch}[name](path)


def _run_onnx(path: Path) -> Run:
    session = onnx_session(path.read_bytes(), one_size=False)
    return lambda images: [torch.from_numpy(a) for a in session.run(None, {INPUT: images.contiguous().numpy()})]


def _run_openvino(path: Path) -> Run:
    return Compiled(openvino_runtime().Core().read_model(path))


def run_without_settings(path: Path) -> Run:
    """Returns a function that runs an OpenVINO file with OpenVINO's default settings."""
    return Compiled(openvino_runtime().Core().read_model(path), {})


def _run_torch(path: Path) -> Run:
    with _ignored_warnings():
        module = torch.export.load(path).module()

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            outputs = module(images)
        return list(outputs) if isinstance(outputs, Sequence) else [outputs]

    return run


@contextmanager
def _ignored_warnings() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
