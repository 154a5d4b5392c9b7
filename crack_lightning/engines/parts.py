"""Cuts backbones into parts, each computed in tiles, so that pictures of any size need little memory."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Part:
    """Consecutive layers of a backbone, computed for the whole picture before the next part.

    The first layers need nearly all of the memory but have small receptive fields, so their tiles overlap by a few
    pixels only. The last layers have large receptive fields, but their maps are small.
    """

    end: int  # index of the first layer after the part
    stride: int  # distance of two output cells, in input cells
    reach: int  # how many input cells beyond its own an output cell depends on at most, a multiple of `stride`
    cell_bytes: int  # memory for an input cell, measured with two engines: the larger value


# The other backbones cannot be cut: they have squeeze-and-excitation or attention, which depends on the whole picture,
# or a receptive field larger than the training pictures.
PARTS = {
    "mobilenet_v2": (Part(4, 4, 12, 200), Part(7, 2, 6, 1000), Part(14, 2, 14, 1600), Part(19, 2, 8, 4600)),
    "resnet18": (Part(5, 4, 24, 150), Part(6, 2, 8, 420), Part(7, 2, 8, 780), Part(8, 2, 8, 2600)),
    "resnet50": (Part(5, 4, 20, 210), Part(6, 2, 8, 1700), Part(7, 2, 12, 3100), Part(8, 2, 6, 6200)),
    "vgg16_bn": (
        Part(7, 2, 2, 660),
        Part(14, 2, 2, 1400),
        Part(24, 2, 4, 2200),
        Part(34, 2, 4, 4300),
        Part(44, 2, 4, 2200),
    ),
}


def split(features: nn.Sequential, parts: Sequence[Part]) -> list[nn.Sequential]:
    """Returns the layers of each part."""
    edges = itertools.pairwise([0, *(part.end for part in parts)])
    return [nn.Sequential(*list(features)[start:end]) for start, end in edges]
