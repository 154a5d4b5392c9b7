"""Picks the engine that computes frozen features fastest on this machine, checked against the network's own layers."""

import copy
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from crack_lightning.engines.engine_names import check_engine
from crack_lightning.engines.folded import PooledFeatures, fold_batchnorms
from crack_lightning.engines.onnx import onnx_runtime, onnx_step, to_onnx
from crack_lightning.engines.openvino import openvino_step
from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.models.classifier import CHUNK, CrackClassifier
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.system.processes import cores

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # largest accepted difference, as a share of the largest feature; rounding alone causes 1e-5
LOW_PRECISION_TOLERANCE = 0.05  # the same where a result has 8 or 11 bits, as with bf16-mixed and 16-mixed
COMPARED_PICTURES = 8  # how many pictures of the first batch engines are compared on

Engine = Callable[[Tensor], Tensor]  # uint8 pictures (N, 3, h, w) -> pooled features (N, channels)


def eager_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine that runs the classifier's own layers, unchanged."""
    return lambda images: classifier.pooled(images)


def folded_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine that runs the classifier's layers with BatchNorm folded into the convolutions."""
    device = classifier.pixel_mean.device
    pooled = PooledFeatures(classifier, fold_batchnorms(classifier.features)).eval()
    pooled = pooled.to(memory_format=torch.channels_last).to(device)
    if device.type != "cpu":
        return pooled
    size = CHUNK * torch.get_num_threads()
    return lambda images: torch.cat([pooled(chunk) for chunk in images.split(size)])


def onnx_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine that runs ONNX Runtime on all cores.

    Raises MissingPackage, with the pip command, when it is not installed.
    """
    size = classifier.image_size
    network = PooledFeatures(classifier, copy.deepcopy(classifier.features).eval()).eval()
    content = to_onnx(network, torch.zeros(2, 3, size, size, dtype=torch.uint8))
    return on_all_cores(onnx_step(content, one_size=True))


def openvino_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine that runs OpenVINO on all cores."""
    size = classifier.image_size
    network = PooledFeatures(classifier, copy.deepcopy(classifier.features).eval()).eval()
    return on_all_cores(openvino_step(to_onnx(network, torch.zeros(2, 3, size, size, dtype=torch.uint8))))


def on_all_cores(chunk_features: Engine) -> Engine:
    """Returns an engine that runs `chunk_features`, which uses one core, on all cores at the same time."""
    threads = cores()
    # A core keeps the few pictures of a chunk in its cache and never waits for another core. This is a quarter faster
    # than computing each whole batch with all cores, and idle cores are free to load pictures.
    pool = ThreadPoolExecutor(threads)

    def compute(images: Tensor) -> Tensor:
        if len(images) <= CHUNK:
            return chunk_features(images)
        size = max(1, min(CHUNK, math.ceil(len(images) / threads)))
        return torch.cat(list(pool.map(chunk_features, images.split(size))))

    return compute


def pick_engine(classifier: CrackClassifier, name: str, first: Tensor) -> Engine:
    """Returns the engine `name`, or the eager engine where the features of the two differ on the `first` batch.

    `auto` is ONNX Runtime on the CPU if it is installed, else `folded`.
    """
    check_engine(name)
    chosen = auto_engine(classifier) if name == "auto" else name
    makers: dict[str, Any] = {"onnxruntime": onnx_engine, "openvino": openvino_engine, "folded": folded_engine}
    eager, first = eager_engine(classifier), first[:COMPARED_PICTURES]
    if chosen == "eager":
        return eager
    try:
        engine: Engine = makers[chosen](classifier)
        features, expected = engine(first), eager(first)
        difference = relative_difference(features.float(), expected.float())
    except UserError:  # the engine is not installed or cannot be imported
        raise
    except Exception as error:  # engines raise any exception for layers that they do not support
        log.warning(
            "%s cannot run %s (%s): PyTorch's own layers are used", chosen, classifier.backbone, type(error).__name__
        )
        return eager
    is_float32 = features.dtype == expected.dtype == torch.float32
    if difference > (TOLERANCE if is_float32 else LOW_PRECISION_TOLERANCE):
        log.warning("%s is not used: its features differ by %.1e from the network's own", chosen, difference)
        return eager
    log.info("features of %s by %s (difference %.0e)", classifier.backbone, chosen, difference)
    return engine


def auto_engine(classifier: CrackClassifier | CrackMap) -> str:
    """Returns the name of the engine that `auto` selects on this machine."""
    if classifier.pixel_mean.device.type != "cpu":
        return "folded"
    try:
        onnx_runtime()
    except MissingPackage:
        return "folded"
    except UserError as error:
        log.warning("%s: PyTorch's own layers are used", error)
        return "folded"
    return "onnxruntime"


def relative_difference(a: Tensor, b: Tensor) -> float:
    """Returns the largest difference between `a` and `b` as a share of the largest value of `b`."""
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()
