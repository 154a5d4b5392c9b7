"""Picks the engine that computes frozen features fastest on this machine, with the same numbers."""

import copy
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from crack_lightning.engines.engine_names import check_engine
from crack_lightning.engines.folded import PooledFeatures, folded
from crack_lightning.engines.onnx import exported, onnx_runtime, session
from crack_lightning.engines.openvino import openvino_step
from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.models.classifier import CHUNK, CrackClassifier
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.system.processes import cores

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # of the features' own scale; rounding alone gives 1e-5
COMPARED = 8  # pictures of the first batch that engines are compared on
LOW_PRECISION_TOLERANCE = 0.05  # where either result has 8 or 11 bits, as under bf16-mixed and 16-mixed

Engine = Callable[[Tensor], Tensor]  # uint8 pictures (N, 3, h, w) -> pooled features (N, channels)


def eager_engine(classifier: CrackClassifier) -> Engine:
    """Returns the classifier's own computation of features, unchanged."""
    return lambda images: classifier.pooled(images)


def folded_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine of the `folded` layers."""
    pooled = PooledFeatures(classifier, folded(classifier.features)).eval().to(memory_format=torch.channels_last)
    device = classifier.pixel_mean.device
    pooled = pooled.to(device)
    if device.type != "cpu":
        return pooled
    size = CHUNK * torch.get_num_threads()
    return lambda images: torch.cat([pooled(chunk) for chunk in images.split(size)])


def onnx_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine of ONNX Runtime, on all cores.

    Raises MissingPackage that names the pip line when it is not installed.
    """
    size = classifier.image_size
    network = PooledFeatures(classifier, copy.deepcopy(classifier.features).eval()).eval()
    return on_all_cores(session(network, torch.zeros(2, 3, size, size, dtype=torch.uint8), one_size=True))


def openvino_engine(classifier: CrackClassifier) -> Engine:
    """Returns an engine of OpenVINO, on all cores."""
    size = classifier.image_size
    network = PooledFeatures(classifier, copy.deepcopy(classifier.features).eval()).eval()
    return on_all_cores(openvino_step(exported(network, torch.zeros(2, 3, size, size, dtype=torch.uint8))))


def on_all_cores(chunk_features: Engine) -> Engine:
    """Returns an engine that runs `chunk_features`, which uses one core, on every core at once."""
    threads = cores()
    # A few pictures per core stay in its cache, and no core waits or spins for another: a quarter faster than
    # whole batches on all cores at once, and when there is nothing to compute the cores are free for loading.
    pool = ThreadPoolExecutor(threads)

    def compute(images: Tensor) -> Tensor:
        if len(images) <= CHUNK:
            return chunk_features(images)
        size = max(1, min(CHUNK, math.ceil(len(images) / threads)))
        return torch.cat(list(pool.map(chunk_features, images.split(size))))

    return compute


def pick_engine(classifier: CrackClassifier, name: str, first: Tensor) -> Engine:
    """Returns the engine `name` if its features of pictures of the `first` batch agree with the eager ones, else eager.

    `auto` is ONNX Runtime on the CPU if it is installed, else `folded`.
    """
    check_engine(name)
    chosen = auto_engine(classifier) if name == "auto" else name
    makers: dict[str, Any] = {"onnxruntime": onnx_engine, "openvino": openvino_engine, "folded": folded_engine}
    eager, first = eager_engine(classifier), first[:COMPARED]
    if chosen == "eager":
        return eager
    try:
        engine: Engine = makers[chosen](classifier)
        features, expected = engine(first), eager(first)
        difference = relative_difference(features.float(), expected.float())
    except UserError:  # it is not installed, or cannot be imported
        raise
    except Exception as error:  # an engine may raise anything for a network that it does not know
        log.warning("%s cannot run %s (%s): its own layers are used", chosen, classifier.backbone, type(error).__name__)
        return eager
    exact = features.dtype == expected.dtype == torch.float32
    if difference > (TOLERANCE if exact else LOW_PRECISION_TOLERANCE):
        log.warning("features of %s differ by %.1e from the network's own: not used", chosen, difference)
        return eager
    log.info("features of %s by %s (difference %.0e)", classifier.backbone, chosen, difference)
    return engine


def auto_engine(classifier: CrackClassifier | CrackMap) -> str:
    """Returns the name of the engine that `auto` stands for on this machine."""
    if classifier.pixel_mean.device.type != "cpu":
        return "folded"
    try:
        onnx_runtime()
    except MissingPackage:
        return "folded"
    except UserError as error:
        log.warning("%s: its own layers are used", error)
        return "folded"
    return "onnxruntime"


def relative_difference(a: Tensor, b: Tensor) -> float:
    """Returns the largest difference of two feature arrays as a share of the largest feature."""
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()
