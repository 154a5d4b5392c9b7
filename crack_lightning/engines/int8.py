"""Quantises a network to eight bits by ONNX Runtime's static quantisation, per channel.

MobileNetV2 collapses in eight bits where all channels of a layer share a step (Nagel et al. 2019), and where the first
layers have eight bits at all: their few channels carry much and cancel. So weights have a step for each channel, and
layers whose input has sides of more than a quarter of the picture's keep 32 bits. Weights have seven bits: on
processors without VNNI the products of eight would overflow and give other numbers.
"""

import logging
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from crack_lightning.engines.onnx import onnx_runtime

log = logging.getLogger(__name__)

NODE_KINDS = ("Conv", "Clip", "Relu", "Add")  # that can be quantised
SCOPES = ("/features/", "/blocks.")  # of a backbone's layers, in the names of nodes
FINE = 4  # layers whose input has sides of more than one FINE-th of the picture's keep 32 bits


def fine_layers(network: nn.Module, sample: Tensor) -> int:
    """Returns how many convolutions, the first ones, have an input with more than a quarter of the picture's side."""
    sides = list[int]()
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [layer.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1])) for layer in layers]
    try:
        network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(side > math.ceil(sides[0] / FINE) for side in sides)


def quantised(content: bytes, batches: Iterable[np.ndarray], *, keep: int, per_channel: bool = True) -> bytes:
    """Returns an ONNX file in eight bits; the ranges of its activations are measured on `batches` of its input.

    The first `keep` convolutions, and all nodes outside the backbone, keep 32 bits.
    """
    import onnx

    onnx_runtime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(content)
    nodes = [node for node in model.graph.node if any(scope in node.name for scope in SCOPES)]
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    chosen = [node.name for node in nodes[convolutions[keep] :] if node.op_type in NODE_KINDS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it advises steps that change nothing here
        try:
            quantize_static(
                model,
                path,
                _Reader(model.graph.input[0].name, iter(batches)),
                quant_format=QuantFormat.QDQ,
                per_channel=per_channel,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=chosen,
                calibrate_method=CalibrationMethod.MinMax,
            )
        finally:
            logging.disable(disabled)
        return path.read_bytes()


class _Reader:
    """Batches as ONNX Runtime's calibration reads them."""

    def __init__(self, name: str, batches: Iterator[np.ndarray]) -> None:
        self.name, self.batches = name, batches

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.batches, None)
        return None if batch is None else {self.name: batch}

    def __iter__(self) -> "_Reader":
        return self

    def __next__(self) -> dict[str, Any]:
        if (batch := self.get_next()) is None:
            raise StopIteration
        return batch
