"""The taps of backbones: the layers whose features a crack map uses."""

from dataclasses import dataclass

from crack_lightning.errors import UserError


@dataclass(frozen=True)
class Tap:
    """A layer of a backbone whose output is used as features.

    `child`: index of the layer among the children of the backbone's features.
    `channels`: number of channels of its output.
    `stride`: pixels of the picture per pixel of its output, along each side.
    """

    child: int
    channels: int
    stride: int


def _taps(*taps: tuple[int, int, int]) -> tuple[Tap, ...]:
    return tuple(Tap(*tap) for tap in taps)


# Taps are at the last child of each stride, and at a second child of stride 16 where there are many. Two backbones have
# no taps: regnet_y_400mf, because one child holds all its stages, and swin_t, because its maps have the channels last.
TAPS = {
    "mobilenet_v2": _taps((1, 16, 2), (3, 24, 4), (6, 32, 8), (10, 64, 16), (13, 96, 16), (17, 320, 32)),
    "mobilenet_v3_small": _taps((0, 16, 2), (1, 16, 4), (3, 24, 8), (6, 40, 16), (8, 48, 16), (11, 96, 32)),
    "mobilenet_v3_large": _taps((1, 16, 2), (3, 24, 4), (6, 40, 8), (10, 80, 16), (12, 112, 16), (15, 160, 32)),
    "efficientnet_b0": _taps((1, 16, 2), (2, 24, 4), (3, 40, 8), (4, 80, 16), (5, 112, 16), (7, 320, 32)),
    "efficientnet_v2_s": _taps((1, 24, 2), (2, 48, 4), (3, 64, 8), (4, 128, 16), (5, 160, 16), (6, 256, 32)),
    "convnext_tiny": _taps((1, 96, 4), (3, 192, 8), (5, 384, 16), (7, 768, 32)),
    "densenet121": _taps((2, 64, 2), (4, 256, 4), (6, 512, 8), (8, 1024, 16), (12, 1024, 32)),
    "resnet18": _taps((2, 64, 2), (4, 64, 4), (5, 128, 8), (6, 256, 16), (7, 512, 32)),
    "resnet50": _taps((2, 64, 2), (4, 256, 4), (5, 512, 8), (6, 1024, 16), (7, 2048, 32)),
    "shufflenet_v2_x1_0": _taps((0, 24, 2), (2, 116, 8), (3, 232, 16), (4, 464, 32)),
    "vgg16_bn": _taps((6, 64, 2), (13, 128, 4), (23, 256, 8), (33, 512, 16), (43, 512, 32)),
}


def taps_of(backbone: str) -> tuple[Tap, ...]:
    """Returns the taps of a backbone. Raises UserError for a backbone without taps."""
    if backbone not in TAPS:
        raise UserError(f"backbone {backbone!r} cannot carry a crack map: choose one of {', '.join(sorted(TAPS))}")
    return TAPS[backbone]
