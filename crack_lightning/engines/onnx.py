"""A network on ONNX Runtime: the one exporter and the one session."""

import io
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from crack_lightning.errors import MissingPackage

Step = Callable[[Tensor], Tensor]

SPATIAL = {2: "height", 3: "width"}

_exporting = threading.Lock()


def onnx_runtime() -> Any:
    """The module onnxruntime; it reports its use to a host on the Internet unless that is disabled before the import.

    Raises MissingPackage that names the pip line when it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingPackage("engine=onnxruntime needs ONNX Runtime: pip install onnxruntime onnx") from error
    return onnxruntime


def exported(network: nn.Module, sample: Tensor) -> bytes:
    """`network`, on the CPU and in evaluation mode, as ONNX: for as many pictures (N, channels, h, w), of any size."""
    with torch.no_grad():
        outputs = network(sample).ndim
    axes = {"inputs": {0: "count", **SPATIAL}, "outputs": {0: "count", **(SPATIAL if outputs == 4 else {})}}
    file = io.BytesIO()
    # One at a time: the exporter keeps its state in a global. ONNX Runtime computes with 32 bits.
    with _exporting, warnings.catch_warnings(), torch.autocast("cpu", enabled=False):
        # The older exporter takes one second where torch.export takes fifteen, and needs no extra packages.
        warnings.simplefilter("ignore")
        names = {"input_names": ["inputs"], "output_names": ["outputs"], "dynamic_axes": axes}
        torch.onnx.export(network, (sample,), file, **names, dynamo=False)  # type: ignore[arg-type]
    return file.getvalue()


def session(network: nn.Module, sample: Tensor, *, one_size: bool) -> Step:
    """`network` on ONNX Runtime, each call on one core.

    `one_size` says that all pictures will have the size of the first: memory is then planned for it, which for tiles of
    many sizes would hold the most that any of them needs.
    """
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = one_size
    made = onnxruntime.InferenceSession(exported(network, sample), options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(made.run(None, {"inputs": inputs.contiguous().numpy()})[0])
