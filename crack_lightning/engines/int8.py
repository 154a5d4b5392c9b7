"""A network in eight bits: ONNX Runtime's static quantisation, per channel.

MobileNetV2 collapses in eight bits where all channels of a layer share a step (Nagel et al. 2019), and where the first
layers have eight bits at all: their few channels carry much and cancel. So weights have a step for each channel, and
layers that see more than a quarter of the picture a side keep 32 bits. Weights have seven bits: on processors without
VNNI the products of eight would overflow, and the numbers would be others there.
"""

import copy
import hashlib
import logging
import math
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor

from crack_lightning.data.synthetic.surfaces import drawn_surface
from crack_lightning.engines.folded import PooledFeatures
from crack_lightning.engines.onnx import Step, exported, onnx_runtime, onnx_step
from crack_lightning.models.classifier import CHUNK, CrackClassifier
from crack_lightning.system.cache import cache_folder, mark, touch
from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

SURFACES, SEED = 120, 8  # that features are calibrated on

KINDS = ("Conv", "Clip", "Relu", "Add")  # nodes that can be quantised
WHERE = ("/features/", "/blocks.")  # scopes of a backbone's layers in the names of nodes
FINE = 4  # layers whose input is more than this part of the picture a side keep 32 bits


def fine_layers(network: nn.Module, sample: Tensor) -> int:
    """How many convolutions at the beginning of `network` see more than a quarter of the picture a side."""
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
    """An ONNX file in eight bits; the ranges of its activations are those that `batches` of its input bring about.

    The first `keep` convolutions, and whatever is not of the backbone, keep 32 bits.
    """
    import onnx

    onnx_runtime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(content)
    nodes = [node for node in model.graph.node if any(scope in node.name for scope in WHERE)]
    convolutions = [place for place, node in enumerate(nodes) if node.op_type == "Conv"]
    chosen = [node.name for node in nodes[convolutions[keep] :] if node.op_type in KINDS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        before = logging.root.manager.disable
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
            logging.disable(before)
        return path.read_bytes()


class _Reader:
    """What ONNX Runtime's calibration asks for its batches."""

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


def int8_features(classifier: CrackClassifier) -> Step:
    """Pictures (N, 3, h, w) uint8 to pooled features (N, channels) in eight bits, calibrated on drawn surfaces.

    The same for the same weights and size, whatever data they are for: so a checkpoint that was trained on them can be
    asked anywhere. The file is kept in the cache.
    """
    size = classifier.image_size
    network = PooledFeatures(classifier, copy.deepcopy(classifier.features).cpu().eval()).eval()
    content = exported(network, torch.zeros(2, 3, size, size, dtype=torch.uint8))
    kept = _kept(hashlib.sha256(content + version("onnxruntime").encode()).hexdigest()[:16])
    if kept is not None and kept.is_file():
        touch(kept.parent)
        return onnx_step(kept.read_bytes(), one_size=True)
    log.info("calibrating int8 on %d drawn surfaces", SURFACES)
    images = drawn_surfaces(size)
    keep = fine_layers(network, images[:1])
    made = quantised(content, (batch.numpy() for batch in images.split(CHUNK)), keep=keep)
    if kept is not None:
        write_atomically(kept, made)
    return onnx_step(made, one_size=True)


def drawn_surfaces(size: int, count: int = SURFACES) -> Tensor:
    """The pictures (N, 3, size, size) uint8 that features are calibrated on, every second one with a crack."""
    drawn = (drawn_surface(seed=SEED, index=k, positive=bool(k % 2), size_px=size) for k in range(count))
    return torch.stack([pil_to_tensor(each) for each in drawn])


def _kept(key: str) -> Path | None:
    """Where the file of that key is kept; nowhere where the cache cannot be written to."""
    folder = cache_folder(None) / "int8" / key
    try:
        mark(folder)
    except OSError as error:
        log.info("int8 is calibrated anew each time (%s)", error)
        return None
    return folder / "features.onnx"
