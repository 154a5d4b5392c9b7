"""Prepares backbones for inference: normalises pixels first and folds BatchNorm into the convolutions."""

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CrackMap

# Names of a convolution and the norm after it in the blocks of ResNet and DenseNet, which are not nn.Sequential.
CONVOLUTIONS_AND_NORMS = [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("conv1", "norm2")]


class Pixels(nn.Module):
    """Pictures (N, 3, h, w) uint8 to pixels normalised as the backbone needs them."""

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
    """Pictures (N, 3, h, w) to average-pooled features (N, channels), the input of the head."""

    def __init__(self, classifier: CrackClassifier, features: nn.Module) -> None:
        super().__init__()
        self.pixels, self.features = Pixels(classifier), features

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.pixels(images)).mean(dim=(2, 3))


def fold_batchnorms(network: nn.Module) -> nn.Module:
    """Returns a copy of `network` with each BatchNorm folded into the convolution before it.

    The two follow each other in an nn.Sequential or have known names. torch.fx is not used: while it traces, it
    replaces the call of every module in the process, in all threads.
    """
    result = copy.deepcopy(network).eval()
    for block in list(result.modules()):
        children = dict(block.named_children())
        pairs = itertools.pairwise(children) if isinstance(block, nn.Sequential) else CONVOLUTIONS_AND_NORMS
        for first, second in pairs:
            convolution, norm = children.get(first), children.get(second)
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(block, first, fuse_conv_bn_eval(convolution, norm))
                setattr(block, second, nn.Identity())
    return result
