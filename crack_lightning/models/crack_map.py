"""The crack map: a linear head on frozen features at several depths, a logit for every cell of 4 pixels."""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.errors import UserError
from crack_lightning.models.backbones import build_features
from crack_lightning.models.classifier import normalisation
from crack_lightning.models.decision import Decision, decision_from
from crack_lightning.models.taps import taps_of
from crack_lightning.models.weights import resolve_weights

log = logging.getLogger(__name__)

CELL_PX = 4
LESSON_PX = 256  # side of the pictures that it is trained on
LEVELS = ("level", "small_level", "patch_level", "patch_scale")
PACKAGE_MAP = "package_map.json"


class CrackMap(nn.Module):
    """Marks the cells of a picture that a crack runs through.

    `forward` takes RGB pictures (N, 3, h, w), uint8 in 0..255, sides multiples of 32, and gives logits (N, h/4, w/4).
    `weight` (channels of all taps,) and `bias` are of the linear head on the joined features of a cell. A convolution
    of 1x1 at each tap's own stride, its map resized and added, is the same, since both are linear.

    `level` and `small_level` are the logits above the median of a photograph, and of a small one, that become the
    probability 0.5 of a cell. The score of a patch becomes 0.5 at `patch_level`, and a unit of log-odds more for every
    `patch_scale`. Where `patch_weight` (channels,) is there, learned from labelled patches, the mean of a patch's
    features times it is added to these. `decision` says what the probabilities of patches mean, `cell_decision` those
    of cells. `mm_per_px` is the scale of the pictures that it was trained on, None where they had many.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    weight: Tensor
    bias: Tensor
    patch_weight: Tensor | None

    def __init__(
        self,
        *,
        backbone: str,
        decision: Decision,
        state_dict: dict[str, Tensor] | None,
        weight: Sequence[float] | None = None,
        bias: float = 0.0,
        patch_weight: Sequence[float] | None = None,
        level: float = 0.0,
        small_level: float = 0.0,
        patch_level: float = 0.0,
        patch_scale: float = 1.0,
        patch_px: int = LESSON_PX,
        mm_per_px: float | None = None,
        weights: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.decision, self.taps = backbone, decision, taps_of(backbone)
        self.level, self.small_level = level, small_level
        self.patch_level, self.patch_scale = patch_level, patch_scale
        self.patch_px, self.mm_per_px = patch_px, mm_per_px
        self.weights = dict(weights or {})
        mean, std = normalisation(backbone)
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1))
        whole, _ = build_features(backbone, state_dict)
        self.features = whole[: self.taps[-1].child + 1].requires_grad_(False)
        channels = sum(tap.channels for tap in self.taps)
        for name, given in (("weight", weight or [0.0] * channels), ("patch_weight", patch_weight)):
            if given is not None and len(given) != channels:
                raise UserError(f"a crack map of {backbone} has {channels} weights, not {len(given)}")
            self.register_buffer(name, None if given is None else torch.tensor(given, dtype=torch.float32))
        self.register_buffer("bias", torch.tensor(float(bias)))
        self.to(memory_format=torch.channels_last)
        self.eval()

    def facts(self) -> dict[str, Any]:
        """All that it takes, beside the tensors, to build this map again: plain values only."""
        return {
            "backbone": self.backbone,
            "decision": self.decision.facts(),
            "patch_px": self.patch_px,
            "mm_per_px": self.mm_per_px,
            "weights": self.weights,
            **{name: getattr(self, name) for name in LEVELS},
        }

    @property
    def cell_decision(self) -> Decision:
        """What the probabilities of cells mean: 0.5 is where `level` lies."""
        return Decision(self.decision.class_names, self.decision.positive_class)

    def tapped(self, images: Tensor) -> list[Tensor]:
        """Pictures (N, 3, h, w) uint8 to the map of each tap (N, channels, h/s, w/s), s its stride, 4 at least."""
        pixels = (images.to(self.pixel_mean.dtype) / 255 - self.pixel_mean) / self.pixel_std
        maps, taps = pixels.contiguous(memory_format=torch.channels_last), {tap.child: tap for tap in self.taps}
        found = []
        for number, layer in enumerate(self.features):
            maps = layer(maps)
            if number in taps:
                found.append(functional.avg_pool2d(maps, 2) if taps[number].stride < CELL_PX else maps)
        return found

    def cells(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, h, w) uint8 to the joined features of every cell (N, channels, h/4, w/4)."""
        return torch.cat(grown(self.tapped(images)), dim=1)

    @property
    def head_rows(self) -> int:
        """How many numbers there are of every cell: its logit, and what it says of a patch where that was learned."""
        return 1 if self.patch_weight is None else 2

    def tap_weights(self) -> list[Tensor]:
        """The weights of each tap, (rows, channels, 1, 1): of the head, and of patches where there are some."""
        rows = [self.weight] if self.patch_weight is None else [self.weight, self.patch_weight]
        widths = [tap.channels for tap in self.taps]
        return [part[:, :, None, None] for part in torch.stack(rows).split(widths, dim=1)]

    def rows(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, h, w) uint8 to (N, rows, h/4, w/4): each of `tap_weights` at every cell, without the bias."""
        maps = [functional.conv2d(*pair) for pair in zip(self.tapped(images), self.tap_weights(), strict=True)]
        return torch.stack(grown(maps)).sum(dim=0)

    def forward(self, images: Tensor) -> Tensor:
        return self.rows(images)[:, 0] + self.bias


def grown(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps (N, channels, h', w') brought to the size of the first."""
    size = maps[0].shape[-2:]
    return [
        each if each.shape[-2:] == size else functional.interpolate(each, size, mode="bilinear", align_corners=False)
        for each in maps
    ]


@cache
def package_facts() -> dict[str, Any]:
    """What the package says of its own map: its head, its decision, and what it was made of."""
    found: dict[str, Any] = json.loads(files("crack_lightning.models").joinpath(PACKAGE_MAP).read_text("utf-8"))
    return found


def package_map() -> CrackMap:
    """The map that comes with the package, trained on drawn cracks. Raises as `resolve_weights` does."""
    facts = package_facts()
    log.info("the crack map of the package, which was trained on drawn cracks alone")
    state_dict, source = resolve_weights(facts["backbone"], facts["weights"])
    return CrackMap(
        backbone=facts["backbone"],
        decision=decision_from(facts["decision"]),
        state_dict=state_dict,
        weights=source.as_dict(),
        **{name: facts[name] for name in ("weight", "bias", *LEVELS)},
    )
