"""A network on OpenVINO, from the same ONNX file."""

import os
import threading
from typing import Any

import torch
from torch import Tensor

from crack_lightning.engines.onnx import Step
from crack_lightning.errors import MissingPackage
from crack_lightning.system.processes import cores


def openvino_runtime() -> Any:
    """The module openvino. Raises MissingPackage that names the pip line."""
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingPackage('OpenVINO is not installed: pip install -e ".[openvino]"') from error
    return openvino


class Compiled:
    """A model of OpenVINO that any thread may ask, each core for itself, with 32 bits where the file has them.

    A thread takes a request that is idle, or a new one.
    """

    def __init__(self, model: Any) -> None:
        settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": cores(), "INFERENCE_NUM_THREADS": cores()}
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
