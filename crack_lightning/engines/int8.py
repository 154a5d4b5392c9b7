"""Quantises a network to eight bits by ONNX Runtime's static quantisation, per channel.

MobileNetV2 collapses in eight bits if all channels of a layer share one step size (Nagel et al. 2019), or if the first
layers are quantised at all: their few channels have large values that cancel. So the weights of each channel have a
step size of their own, and layers whose input is larger than a quarter of the picture's side keep 32 bits. Weights
have seven bits: on processors without VNNI, products of eight bits would overflow and give other results.
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

QUANTISED_OPS = ("Conv", "Clip", "Relu", "Add")  # types of ONNX nodes that are quantised
BACKBONE_SCOPES = ("/features/", "/blocks.")  # parts of the names of nodes that belong to a backbone
FINE_FRACTION = 4  # layers whose input is larger than one FINE_FRACTION-th of the picture's side keep 32 bits


def fine_layers(network: nn.Module, sample: Tensor) -> int:
    """Returns how many convolutions, the first ones, have an input larger than a quarter of the picture's side."""
    sides = list[int]()
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [layer.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1])) for layer in layers]
    try:
        network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(side > math.ceil(sides[0] / FINE_FRACTION) for side in sides)


def quantised(content: bytes, batches: Iterable[np.ndarray], *, keep: int, per_channel: bool = True) -> bytes:
    """Returns an ONNX file quantised to eight bits; `batches` of its input show the ranges of its activations.

    The first `keep` convolutions and all nodes outside the backbone keep 32 bits.
    """
    import onnx

    onnx_runtime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(content)
    nodes = [node for node in model.graph.node if any(scope in node.name for scope in BACKBONE_SCOPES)]
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    node_names = [node.name for node in nodes[convolutions[keep] :] if node.op_type in QUANTISED_OPS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)  # ONNX Runtime advises steps that change nothing here
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
                nodes_to_quantize=node_names,
                calibrate_method=CalibrationMethod.MinMax,
            )
        finally:
            logging.disable(disabled)
        return path.read_bytes()


class _Reader:
    """Passes batches to the calibration of ONNX Runtime."""

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
