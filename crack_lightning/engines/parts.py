"""The parts that backbones are cut into, so that pictures of any size can be computed tile by tile in little memory."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Part:
    """Children of a backbone's features, computed over the whole picture before the next part is.

    The first layers take nearly all of the memory and see little: their tiles overlap by a few pixels. The last ones
    see far, but their maps are small.
    """

    end: int  # index behind the last of its children
    stride: int  # input cells from one output cell to the next
    reach: int  # input cells that an output cell sees at most beyond its own, a multiple of `stride`
    cell_bytes: int  # memory for an input cell: the larger of the amounts measured with two engines


# Other backbones cannot be cut: squeeze and excitation or attention looks at the whole picture, or a place sees farther
# than the training pictures were large.
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
