"""The layers of a classifier's backbone with the normalisation in front, and BatchNorm folded into convolutions."""

import copy
import logging

import torch
from torch import Tensor, nn

from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CrackMap

log = logging.getLogger(__name__)


class Pixels(nn.Module):
    """Pictures (N, 3, h, w) uint8, normalised as the backbone takes them."""

    scale: Tensor
    shift: Tensor

    def __init__(self, classifier: CrackClassifier | CrackMap) -> None:
        super().__init__()
        self.register_buffer("scale", 1 / (255 * classifier.pixel_std))
        self.register_buffer("shift", classifier.pixel_mean / classifier.pixel_std)

    def forward(self, images: Tensor) -> Tensor:
        normalised = images.to(self.scale.dtype) * self.scale - self.shift
        return normalised.contiguous(memory_format=torch.channels_last)


class PooledFeatures(nn.Module):
    """Pictures (N, 3, h, w) to average-pooled features (N, channels), as the head gets them."""

    def __init__(self, classifier: CrackClassifier, features: nn.Module) -> None:
        super().__init__()
        self.pixels, self.features = Pixels(classifier), features

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.pixels(images)).mean(dim=(2, 3))


def folded(network: nn.Module) -> nn.Module:
    """A copy with BatchNorm folded into the convolutions before it, where that can be traced."""
    try:
        from torch.fx.experimental.optimization import fuse

        return fuse(network.eval())
    except Exception as error:  # whatever a network does that cannot be traced
        log.info("BatchNorm is not folded (%s)", type(error).__name__)
        return copy.deepcopy(network).eval()
