"""A network on OpenVINO, from the same ONNX file."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from crack_lightning.engines.onnx import Step
from crack_lightning.system.libraries import library
from crack_lightning.system.processes import cores

PRECISE = {"INFERENCE_PRECISION_HINT": "f32"}  # without it processors with bfloat16 compute with 8 bits of mantissa


def openvino_runtime() -> Any:
    """The module openvino. Raises MissingPackage that names the pip line."""
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")
    return library("openvino", 'OpenVINO is not installed: pip install -e ".[openvino]"')


def write_precise(model: Any, path: Path) -> None:
    """Writes a model whose layers are marked to be computed with 32 bits: by default processors with bfloat16 take
    that, and probabilities then differ by up to 0.2.

    Layers that OpenVINO replaces by others lose the mark. Of a crack map these are the resizing ones, which are written
    as what they would be replaced by; of a classifier, whose input is resized by matrices, some are left.
    """
    from openvino import opset4
    from openvino.utils.node_factory import NodeFactory

    for layer in model.get_ops():
        if layer.get_type_name() == "Interpolate":
            places = [layer.input_value(0), layer.input_value(1), opset4.constant(np.ones(4, np.float32)).output(0)]
            kept = NodeFactory("opset4").create("Interpolate", places, layer.get_attributes())
            kept.set_friendly_name(layer.get_friendly_name())
            layer.output(0).replace(kept.output(0))
    openvino_runtime().save_model(model, str(path), compress_to_fp16=False)
    tree = ElementTree.parse(path)
    for written in tree.iterfind("layers/layer"):
        marks = written.find("rt_info")
        if marks is None:
            marks = ElementTree.Element("rt_info")
            written.insert(int(written.find("data") is not None), marks)
        ElementTree.SubElement(marks, "attribute", name="precise", version="0")
    tree.write(path, encoding="utf-8", xml_declaration=True)


class Compiled:
    """A model of OpenVINO that any thread may ask; without other `settings` each core for itself, with 32 bits.

    A thread takes a request that is idle, or a new one.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any] | None = None) -> None:
        if settings is None:
            settings = {**PRECISE, "NUM_STREAMS": cores(), "INFERENCE_NUM_THREADS": cores()}
        self._compiled = openvino_runtime().Core().compile_model(model, "CPU", settings)
        self._lock, self._idle = threading.Lock(), list[Any]()

    def __call__(self, images: Tensor) -> list[Tensor]:
        # To make a request while another thread's is asked blocks both for good.
        with self._lock:
            request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
            request.set_input_tensor(openvino_runtime().Tensor(images.contiguous().numpy(), shared_memory=False))
            request.start_async()
        request.wait()
        found = [request.get_output_tensor(k).data for k in range(len(self._compiled.outputs))]
        outputs = [torch.from_numpy(each.copy()) for each in found]
        with self._lock:
            self._idle.append(request)
        return outputs


def openvino_step(content: bytes) -> Step:
    """An ONNX file with one output on OpenVINO."""
    compiled = Compiled(openvino_runtime().Core().read_model(content))
    return lambda inputs: compiled(inputs)[0]
