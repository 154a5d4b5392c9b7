"""The head at every place of the feature map: class activation maps of pictures of any size.

With average pooling and a linear head the map is exact (Zhou et al. 2016): its mean over a picture is the logit of it.
"""

import copy
import io
import logging
import os
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.engines import (
    TOLERANCE,
    PooledFeatures,
    auto_engine,
    folded_features,
    relative_difference,
)

log = logging.getLogger(__name__)

LogitMapper = Callable[[Tensor], Tensor]  # uint8 pictures (N, 3, h, w) -> logits (N, 2, h', w'), not yet calibrated


class LogitMap(nn.Module):
    """Pictures (N, 3, h, w) uint8 to logits at each place of the feature map, (N, 2, h', w')."""

    def __init__(self, classifier: CrackClassifier, features: nn.Module) -> None:
        super().__init__()
        self.features = PooledFeatures(classifier, features)
        channels, classes = classifier.head.in_features, classifier.head.out_features
        self.head = nn.Conv2d(channels, classes, 1)
        with torch.no_grad():
            self.head.weight.copy_(classifier.head.weight[:, :, None, None])
            self.head.bias.copy_(classifier.head.bias)  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features.feature_map(images))


def logit_mapper(classifier: CrackClassifier, engine: str) -> LogitMapper:
    """The map of `classifier` by `engine` on its device, compared with the network itself on a small picture."""
    name = auto_engine(classifier) if engine == "auto" else engine
    own = _without_gradients(LogitMap(classifier, copy.deepcopy(classifier.features)))
    if name == "eager":
        return own
    if name == "folded":
        mapper = _without_gradients(LogitMap(classifier, folded_features(classifier)))
    else:
        network = LogitMap(classifier, copy.deepcopy(classifier.features)).eval().cpu()
        mapper = _onnx_mapper(network, classifier.image_size)
    sample = torch.randint(0, 256, (1, 3, 2 * classifier.image_size, classifier.image_size), dtype=torch.uint8)
    difference = relative_difference(mapper(sample), own(sample))
    if difference > TOLERANCE:
        log.warning("the map of %s differs by %.1e from the network's own: not used", name, difference)
        return own
    return mapper


def _without_gradients(network: LogitMap) -> LogitMapper:
    """`network` on the device of its features, for pictures on the CPU."""
    device = network.features.scale.device
    network.eval().to(device)

    def compute(images: Tensor) -> Tensor:
        with torch.no_grad():
            return network(images.to(device)).float().cpu()

    return compute


def _onnx_mapper(network: LogitMap, image_size: int) -> LogitMapper:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("engine=onnxruntime needs ONNX Runtime: pip install onnxruntime onnx") from error
    example = torch.zeros(1, 3, 2 * image_size, image_size, dtype=torch.uint8)
    axes = {"images": {0: "count", 2: "height", 3: "width"}, "logits": {0: "count", 2: "rows", 3: "columns"}}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without extra packages is called deprecated
        names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
        torch.onnx.export(network, (example,), file, **names, dynamo=False)  # type: ignore[arg-type]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    # Memory is asked for as it is needed and given back at the end: the default doubles what it holds.
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    run = onnxruntime.RunOptions()
    run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return lambda images: torch.from_numpy(session.run(None, {"images": images.contiguous().numpy()}, run)[0])
