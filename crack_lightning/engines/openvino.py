"""Runs ONNX files with OpenVINO and writes models in its format."""

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

MAX_BIAS_VALUES = 4096  # biases have fewer values, most weights have more
PRECISE = {"INFERENCE_PRECISION_HINT": "f32"}  # else processors with bfloat16 compute with a mantissa of 8 bits


def openvino_runtime() -> Any:
    """Returns the module openvino. Raises MissingPackage, with the pip command, when it is not installed."""
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")
    return library("openvino", 'OpenVINO is not installed: pip install -e ".[openvino]"')


def write_precise(model: Any, path: Path) -> None:
    """Writes a model whose layers are marked to be computed with 32 bits.

    Without the mark, OpenVINO uses bfloat16 on processors that have it, and probabilities differ by up to 0.2. Layers
    that OpenVINO replaces lose the mark. In a crack map those are the resizing layers, so their replacements are
    written instead. In a classifier, whose input is resized by matrices, some layers stay unmarked.
    """
    from openvino import opset4
    from openvino.utils.node_factory import NodeFactory

    for layer in model.get_ops():
        if layer.get_type_name() == "Interpolate":
            inputs = [layer.input_value(0), layer.input_value(1), opset4.constant(np.ones(4, np.float32)).output(0)]
            replacement = NodeFactory("opset4").create("Interpolate", inputs, layer.get_attributes())
            replacement.set_friendly_name(layer.get_friendly_name())
            layer.output(0).replace(replacement.output(0))
    _give_layers_their_own_biases(model)
    openvino_runtime().save_model(model, str(path), compress_to_fp16=False)
    tree = ElementTree.parse(path)
    for element in tree.iterfind("layers/layer"):
        marks = element.find("rt_info")
        if marks is None:
            marks = ElementTree.Element("rt_info")
            element.insert(int(element.find("data") is not None), marks)
        ElementTree.SubElement(marks, "attribute", name="precise", version="0")
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _give_layers_their_own_biases(model: Any) -> None:
    """Gives each layer its own copy of a small constant that several layers share.

    A crack map applies the same layers to three scales. OpenVINO does not join a shared bias with its convolution, and
    the sum that remains loses its mark.
    """
    from openvino import opset4

    for layer in list(model.get_ops()):
        if layer.get_type_name() == "Constant" and layer.get_output_shape(0) and layer.data.size <= MAX_BIAS_VALUES:
            for target in list(layer.output(0).get_target_inputs())[1:]:
                target.replace_source_output(opset4.constant(layer.data).output(0))


class Compiled:
    """A model compiled by OpenVINO, which several threads may call; each call uses an idle request or creates one.

    Without `settings`, each call runs on one core with 32 bits.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any] | None = None) -> None:
        if settings is None:
            settings = {**PRECISE, "NUM_STREAMS": cores(), "INFERENCE_NUM_THREADS": cores()}
        self._compiled = openvino_runtime().Core().compile_model(model, "CPU", settings)
        self._lock, self._idle = threading.Lock(), list[Any]()

    def __call__(self, images: Tensor) -> list[Tensor]:
        # The lock, because two threads deadlock if one creates a request while the other starts one.
        with self._lock:
            request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
            request.set_input_tensor(openvino_runtime().Tensor(images.contiguous().numpy(), shared_memory=False))
            request.start_async()
        request.wait()
        arrays = [request.get_output_tensor(index).data for index in range(len(self._compiled.outputs))]
        outputs = [torch.from_numpy(array.copy()) for array in arrays]
        with self._lock:
            self._idle.append(request)
        return outputs


def openvino_step(content: bytes) -> Step:
    """Returns a step that runs an ONNX file with one output in OpenVINO, each call on one core."""
    compiled = Compiled(openvino_runtime().Core().read_model(content))
    return lambda inputs: compiled(inputs)[0]
