"""Computes class activation maps of pictures of any size: the logits of the head at every cell of the feature map.

With average pooling and a linear head the map is exact (Zhou et al. 2016): its mean is the logit of the picture.
"""

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crack_lightning.engines.folded import Pixels, fold_batchnorms
from crack_lightning.engines.onnx import Step, onnx_step, to_onnx
from crack_lightning.engines.openvino import openvino_step
from crack_lightning.engines.parts import PARTS, Part, split
from crack_lightning.engines.pick import TOLERANCE, auto_engine, relative_difference
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.processes import cores

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogitMapper:
    """Pictures (N, 3, h, w) uint8 to uncalibrated logits (N, 2, h', w') at each cell of the feature map.

    Each of `parts` has a step, and `steps` run one after another; a backbone that cannot be cut has one step and no
    parts. All cores are busy when `at_once` calls of a step run simultaneously.
    """

    steps: Sequence[Step]
    parts: Sequence[Part]
    at_once: int

    def __call__(self, images: Tensor) -> Tensor:
        for step in self.steps:
            images = step(images)
        return images.float().cpu()


def logit_mapper(classifier: CrackClassifier, engine: str) -> LogitMapper:
    """Returns a mapper that computes the map of `classifier` by `engine`, on the device of `classifier`.

    Where the engine's map of a random picture differs from the classifier's own, the classifier's layers are used.
    """
    name = auto_engine(classifier) if engine == "auto" else engine
    parts = PARTS.get(classifier.backbone, ())
    size_hw = (2 * classifier.image_size, classifier.image_size)
    networks, device = _networks(classifier, parts), classifier.pixel_mean.device
    return compared_mapper(networks, parts, name, device=device, fold=fold_batchnorms, size_hw=size_hw)


def compared_mapper(
    networks: Sequence[nn.Module],
    parts: Sequence[Part],
    name: str,
    *,
    device: torch.device,
    fold: Callable[[nn.Module], nn.Module],
    size_hw: tuple[int, int],
) -> LogitMapper:
    """Returns a mapper that runs `networks`, one for each part, by the engine `name`.

    The engine's map of a random picture of `size_hw` is compared with that of the networks themselves. Where they
    differ, logs a warning and returns a mapper that runs the networks as they are.
    """
    reference = LogitMapper([_step_of(network, device) for network in networks], parts, 1)
    if name == "eager":
        return reference
    sample = torch.randint(0, 256, (1, 3, *size_hw), dtype=torch.uint8)
    if name == "folded":
        mapper = LogitMapper([_step_of(fold(network), device) for network in networks], parts, 1)
    else:
        mapper = LogitMapper(_onnx_steps(networks, sample, name), parts, cores())
    difference = relative_difference(mapper(sample), reference(sample))
    if difference > TOLERANCE:
        log.warning("%s is not used: its map differs by %.1e from the network's own", name, difference)
        return reference
    return mapper


def _networks(classifier: CrackClassifier, parts: Sequence[Part]) -> list[nn.Sequential]:
    """Returns a copy of the layers of each part: the first takes pictures, the last outputs logits."""
    features = copy.deepcopy(classifier.features).eval()
    networks = split(features, parts) if parts else [nn.Sequential(features)]
    head = nn.Conv2d(classifier.head.in_features, classifier.head.out_features, 1)
    with torch.no_grad():
        head.weight.copy_(classifier.head.weight[:, :, None, None])
        head.bias.copy_(classifier.head.bias)  # type: ignore[union-attr]
    networks[0].insert(0, Pixels(classifier))
    networks[-1].append(head)
    return [network.eval() for network in networks]


def _step_of(network: nn.Module, device: torch.device) -> Step:
    """Returns a step that runs `network` on `device` without gradients; its inputs may be on any device."""
    network.to(device)

    def compute(inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return network(inputs.to(device))

    return compute


def _onnx_steps(networks: Sequence[nn.Module], sample: Tensor, name: str) -> list[Step]:
    """Returns steps that run the networks in ONNX Runtime or OpenVINO (`name`), each call on one core."""
    steps = []
    for network in networks:
        network = network.cpu()
        content = to_onnx(network, sample)
        steps.append(openvino_step(content) if name == "openvino" else onnx_step(content, one_size=False))
        with torch.no_grad():
            sample = network(sample)
    return steps
