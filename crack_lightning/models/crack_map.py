"""The crack map: a linear head on frozen features at several depths, a logit for every cell of 4 pixels."""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.errors import UserError
from crack_lightning.models.backbones import build_features
from crack_lightning.models.classifier import CrackClassifier, normalisation
from crack_lightning.models.decision import Decision, decision_from
from crack_lightning.models.taps import taps_of
from crack_lightning.models.weights import WeightsSource, resolve_weights

log = logging.getLogger(__name__)

CELL_PX = 4
LESSON_PX = 256  # side of the pictures that a crack map is trained on
LEVELS = ("level", "small_level", "patch_level", "patch_scale")
PACKAGE_MAP = "package_map.json"


class CrackMap(nn.Module):
    """Marks the cells of a picture that a crack runs through.

    `forward` takes RGB pictures (N, 3, h, w), uint8 in 0..255, sides multiples of 32, and returns logits (N, h/4, w/4).
    `weight` (channels of all taps,) and `bias` are the linear head on the joined features of a cell; `patch_weight`
    judges patches, and equals `weight` until it is trained on labelled patches. The head is computed as a 1x1
    convolution at each tap's own stride, its map resized and added: the result is the same, since both are linear.

    `level` and `small_level` are the logits above the median of a photograph, and of a small one, that become the
    probability 0.5 of a cell. The score of a patch becomes 0.5 at `patch_level`, and a unit of log-odds more for every
    `patch_scale`. `decision` says what the probabilities of patches mean, `marking_decision` what those of cells mean.
    `mm_per_px` is the scale of the pictures that it was trained on, None if they had many.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    weight: Tensor
    patch_weight: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        backbone: str,
        decision: Decision,
        state_dict: dict[str, Tensor] | None,
        weight: Sequence[float] | None = None,
        bias: float = 0.0,
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
        head_weight = torch.zeros(channels) if weight is None else torch.tensor(weight, dtype=torch.float32)
        if head_weight.shape != (channels,):
            raise UserError(f"a crack map of {backbone} has {channels} weights, not {len(head_weight)}")
        self.register_buffer("weight", head_weight)
        self.register_buffer("patch_weight", head_weight.clone())
        self.register_buffer("bias", torch.tensor(float(bias)))
        self.to(memory_format=torch.channels_last)
        self.eval()

    def facts(self) -> dict[str, Any]:
        """Returns all that is needed besides the tensors to build this map again: plain values only."""
        return {
            "backbone": self.backbone,
            "decision": self.decision.facts(),
            "patch_px": self.patch_px,
            "mm_per_px": self.mm_per_px,
            "weights": self.weights,
            **{name: getattr(self, name) for name in LEVELS},
        }

    def set_levels(self, levels: Mapping[str, float]) -> None:
        """Sets some of LEVELS, rounded to three decimals."""
        for name, value in levels.items():
            setattr(self, name, round(float(value), 3))

    @property
    def marking_decision(self) -> Decision:
        """Returns the decision for cells, whose threshold of 0.5 is where `level` lies."""
        return Decision(self.decision.class_names, self.decision.positive_class)

    def tapped(self, images: Tensor) -> list[Tensor]:
        """Computes each tap's map (N, channels, h/s, w/s) of pictures (N, 3, h, w) uint8, s its stride, at least 4."""
        pixels = (images.to(self.pixel_mean.dtype) / 255 - self.pixel_mean) / self.pixel_std
        maps, taps = pixels.contiguous(memory_format=torch.channels_last), {tap.child: tap for tap in self.taps}
        tapped_maps = []
        for number, layer in enumerate(self.features):
            maps = layer(maps)
            if number in taps:
                tapped_maps.append(functional.avg_pool2d(maps, 2) if taps[number].stride < CELL_PX else maps)
        return tapped_maps

    def cells(self, images: Tensor) -> Tensor:
        """Computes the joined features of every cell (N, channels, h/4, w/4) of pictures (N, 3, h, w) uint8."""
        return torch.cat(grown(self.tapped(images)), dim=1)

    def tap_weights(self, weight: Tensor | None = None) -> list[Tensor]:
        """Returns the weights of each tap (1, channels, 1, 1), from the head or from another `weight` (channels,)."""
        parts = (self.weight if weight is None else weight).split([tap.channels for tap in self.taps])
        return [part[None, :, None, None] for part in parts]

    def forward(self, images: Tensor) -> Tensor:
        return self.logits_by(self.tap_weights(), images) + self.bias

    def logits_by(self, weights: Sequence[Tensor], images: Tensor) -> Tensor:
        """Applies a head given by its `tap_weights`, without bias, to pictures (N, 3, h, w) uint8: (N, h/4, w/4).

        Gradients reach the weights and not the features.
        """
        with torch.no_grad():
            tapped = self.tapped(images)
        maps = [functional.conv2d(*pair) for pair in zip(tapped, weights, strict=True)]
        return torch.stack(grown(maps)).sum(dim=0)[:, 0]

    def positive_probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits of patches (N, 2) to calibrated probabilities of the positive class (N,)."""
        return self.decision.positive_probabilities(logits)


Network = CrackClassifier | CrackMap


def is_map(network: Network) -> TypeGuard[CrackMap]:
    """Returns whether a network marks cells, rather than judging windows."""
    return isinstance(network, CrackMap)


def grown(maps: Sequence[Tensor]) -> list[Tensor]:
    """Resizes maps (N, channels, h', w') to the size of the first."""
    size = maps[0].shape[-2:]
    return [
        feature_map
        if feature_map.shape[-2:] == size
        else functional.interpolate(feature_map, size, mode="bilinear", align_corners=False)
        for feature_map in maps
    ]


@cache
def package_facts() -> dict[str, Any]:
    """Returns the facts of the package's own map: its head, its decision, and what it was made of."""
    facts: dict[str, Any] = json.loads(files("crack_lightning.models").joinpath(PACKAGE_MAP).read_text("utf-8"))
    return facts


def package_map(
    decision: Decision | None = None,
    *,
    weights: tuple[dict[str, Tensor] | None, WeightsSource] | None = None,
    **known: Any,
) -> CrackMap:
    """Builds the map of the package, trained on drawn cracks, with other class names if a `decision` is given.

    `weights` are what `resolve_weights` returned before, `known` are values for its checkpoint: `patch_px` and
    `mm_per_px`. Raises as `resolve_weights` does.
    """
    facts = package_facts()
    log.info("the crack map of the package, which was trained on drawn cracks alone")
    state_dict, source = weights or resolve_weights(facts["backbone"], facts["weights"])
    return CrackMap(
        backbone=facts["backbone"],
        decision=decision or decision_from(facts["decision"]),
        state_dict=state_dict,
        weights=source.as_dict(),
        **{name: facts[name] for name in ("weight", "bias", *LEVELS)},
        **known,
    )
