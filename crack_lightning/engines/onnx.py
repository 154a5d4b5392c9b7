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

OPSET = 17  # read by the runtimes of browsers and of QGIS
SPATIAL = {2: "height", 3: "width"}

_exporting = threading.Lock()


def onnx_runtime() -> Any:
    """Returns the module onnxruntime; its reports of use to a host on the Internet are disabled before the import.

    Raises MissingPackage that names the pip line when it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return library("onnxruntime", "engine=onnxruntime needs ONNX Runtime: pip install onnxruntime onnx")


def exported(
    network: nn.Module,
    sample: Tensor,
    *,
    input_name: str = "inputs",
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    fixed: bool = False,
) -> bytes:
    """Returns `network`, on the CPU and in evaluation mode, as ONNX for any pictures (N, channels, h, w).

    `dynamic` gives the outputs by name, with the names of their axes of any size; without it there is one output, a
    map or features. With `fixed`, pictures have the size of the sample.
    """
    if dynamic is None:
        with torch.no_grad():
            outputs = network(sample).ndim
        dynamic = {"outputs": {0: "count", **(SPATIAL if outputs == 4 else {})}}
    axes = {input_name: {0: "batch", **({} if fixed else SPATIAL)}, **dynamic}
    file = io.BytesIO()
    # One at a time: the exporter keeps its state in a global. No autocast: ONNX Runtime computes with 32 bits.
    with _exporting, warnings.catch_warnings(), torch.autocast("cpu", enabled=False):
        # The older exporter takes one second where torch.export takes fifteen, and needs no extra packages.
        warnings.simplefilter("ignore")
        names = {"input_names": [input_name], "output_names": list(dynamic), "dynamic_axes": axes}
        torch.onnx.export(network, (sample,), file, **names, opset_version=OPSET, dynamo=False)  # type: ignore[arg-type]
    return file.getvalue()


def session(network: nn.Module, sample: Tensor, *, one_size: bool) -> Step:
    """Returns `network` in ONNX Runtime, each call on one core.

    With `one_size`, all pictures must have the size of the first, for which memory is planned: with tiles of many
    sizes such a plan would hold the most that any of them needs.
    """
    return onnx_step(exported(network, sample), one_size=one_size)


def onnx_step(content: bytes, *, one_size: bool) -> Step:
    """Returns an ONNX file with one output in ONNX Runtime, as `session` returns a network."""
    runtime = onnx_session(content, one_size=one_size)
    name = runtime.get_inputs()[0].name
    return lambda inputs: torch.from_numpy(runtime.run(None, {name: inputs.contiguous().numpy()})[0])


def onnx_session(content: bytes, *, one_size: bool) -> Any:
    """Returns a session of ONNX Runtime with an ONNX file, each call on one core."""
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = options.enable_cpu_mem_arena = one_size
    options.log_severity_level = 3  # it warns of constants that remain from quantising
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def write_model(model: Any, path: Path, metadata: Mapping[str, object]) -> None:
    """Writes an ONNX model to a file, checked, with `metadata` as JSON."""
    import onnx

    for name, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, json.dumps(value, ensure_ascii=False)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
