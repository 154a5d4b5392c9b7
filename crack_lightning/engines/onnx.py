"""Exports networks as ONNX and runs them in ONNX Runtime."""

import io
import json
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crack_lightning.system.libraries import library

Step = Callable[[Tensor], Tensor]

OPSET = 17  # the runtimes of browsers and of QGIS read it
SPATIAL_AXES = {2: "height", 3: "width"}

_exporting = threading.Lock()


def onnx_runtime() -> Any:
    """Returns the module onnxruntime, imported with its telemetry disabled.

    Raises MissingPackage, with the pip command, when it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return library("onnxruntime", "engine=onnxruntime needs ONNX Runtime: pip install onnxruntime onnx")


def to_onnx(
    network: nn.Module,
    sample: Tensor,
    *,
    input_name: str = "inputs",
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    fixed: bool = False,
) -> bytes:
    """Returns `network` as an ONNX file for pictures (N, channels, h, w) of any size.

    The network must be on the CPU and in evaluation mode.
    `dynamic` maps the name of each output to its dynamic axes, named by index; without it there is one output, a map
    or features. With `fixed`, all pictures must have the size of `sample`.
    """
    if dynamic is None:
        with torch.no_grad():
            dimensions = network(sample).ndim
        dynamic = {"outputs": {0: "count", **(SPATIAL_AXES if dimensions == 4 else {})}}
    axes = {input_name: {0: "batch", **({} if fixed else SPATIAL_AXES)}, **dynamic}
    file = io.BytesIO()
    # The lock, because the exporter keeps global state. No autocast, because ONNX Runtime computes with 32 bits.
    with _exporting, warnings.catch_warnings(), torch.autocast("cpu", enabled=False):
        # dynamo=False: the older exporter takes 1 s instead of 15 s and needs no extra packages.
        warnings.simplefilter("ignore")
        names = {"input_names": [input_name], "output_names": list(dynamic), "dynamic_axes": axes}
        torch.onnx.export(network, (sample,), file, **names, opset_version=OPSET, dynamo=False)  # type: ignore[arg-type]
    return file.getvalue()


def onnx_step(content: bytes, *, one_size: bool) -> Step:
    """Returns a step that runs an ONNX file with one output in ONNX Runtime, each call on one core.

    With `one_size`, all pictures must have the size of the first, for which ONNX Runtime plans its memory. For tiles
    of many sizes, such a plan would hold as much memory as the largest tile needs.
    """
    runtime = onnx_session(content, one_size=one_size)
    name = runtime.get_inputs()[0].name
    return lambda inputs: torch.from_numpy(runtime.run(None, {name: inputs.contiguous().numpy()})[0])


def onnx_session(content: bytes, *, one_size: bool) -> Any:
    """Returns a session of ONNX Runtime for an ONNX file, each call on one core; for `one_size` see `onnx_step`."""
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = options.enable_cpu_mem_arena = one_size
    options.log_severity_level = 3  # errors only: it warns of constants that remain from quantising
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def write_model(model: Any, path: Path, metadata: Mapping[str, object]) -> None:
    """Checks an ONNX model and writes it to a file, with the values of `metadata` as JSON."""
    import onnx

    for name, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, json.dumps(value, ensure_ascii=False)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
