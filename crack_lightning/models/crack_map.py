"""The crack map: a linear head on frozen features of several depths, which gives each cell of 4 x 4 pixels a logit."""

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
LESSON_PX = 256  # side of the synthetic pictures that a crack map is trained on
# Settings that turn logits into probabilities.
CALIBRATION = ("level", "small_level", "patch_level", "patch_scale")
PACKAGE_MAP = "package_map.json"


class CrackMap(nn.Module):
    """Marks the cells of a picture that a crack runs through.

    `forward` takes RGB pictures (N, 3, h, w), uint8 in 0..255, sides multiples of 32, and returns logits (N, h/4, w/4).
    `weight` (channels of all taps,) and `bias` are the linear head on the joined features of a cell. `patch_weight`
    scores patches, and equals `weight` until it is trained on labelled patches. The head is computed as a 1x1
    convolution of each tap's map; the results are resized and added. This equals the head on the joined features, since
    both steps are linear.

    A cell has probability 0.5 where its logit exceeds the photograph's median by `level` (`small_level` in a small
    photograph). A patch has probability 0.5 at the score `patch_level`; its log-odds grow by 1 with every `patch_scale`
    above it. `decision` says what the probabilities of patches mean, `marking_decision` what those of cells mean.
    `mm_per_px` is the scale of the pictures that the map was trained on, None if they had several scales.
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
        layers, _ = build_features(backbone, state_dict)
        self.features = layers[: self.taps[-1].child + 1].requires_grad_(False)
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
        """Returns everything besides the tensors that is needed to rebuild this map, as plain values."""
        return {
            "backbone": self.backbone,
            "decision": self.decision.facts(),
            "patch_px": self.patch_px,
            "mm_per_px": self.mm_per_px,
            "weights": self.weights,
            **{name: getattr(self, name) for name in CALIBRATION},
        }

    def set_levels(self, levels: Mapping[str, float]) -> None:
        """Sets some of the settings in CALIBRATION, rounded to three decimals."""
        for name, value in levels.items():
            setattr(self, name, round(float(value), 3))

    @property
    def marking_decision(self) -> Decision:
        """Returns the decision for cells; its threshold is 0.5, the probability that a cell has at `level`."""
        return Decision(self.decision.class_names, self.decision.positive_class)

    def tap_maps(self, images: Tensor) -> list[Tensor]:
        """Computes each tap's map (N, channels, h/s, w/s) of pictures (N, 3, h, w) uint8; s: its stride, 4 or more."""
        pixels = (images.to(self.pixel_mean.dtype) / 255 - self.pixel_mean) / self.pixel_std
        maps, taps = pixels.contiguous(memory_format=torch.channels_last), {tap.child: tap for tap in self.taps}
        results = []
        for index, layer in enumerate(self.features):
            maps = layer(maps)
            if index in taps:
                results.append(functional.avg_pool2d(maps, 2) if taps[index].stride < CELL_PX else maps)
        return results

    def cells(self, images: Tensor) -> Tensor:
        """Computes the joined features of every cell (N, channels, h/4, w/4) of pictures (N, 3, h, w) uint8."""
        return torch.cat(resized_to_first(self.tap_maps(images)), dim=1)

    def tap_weights(self, weight: Tensor | None = None) -> list[Tensor]:
        """Splits the head's weight, or another `weight` (channels,), by taps: each part is (1, channels, 1, 1)."""
        parts = (self.weight if weight is None else weight).split([tap.channels for tap in self.taps])
        return [part[None, :, None, None] for part in parts]

    def forward(self, images: Tensor) -> Tensor:
        return self.logits_by(self.tap_weights(), images) + self.bias

    def logits_by(self, weights: Sequence[Tensor], images: Tensor) -> Tensor:
        """Returns logits (N, h/4, w/4) of pictures (N, 3, h, w) uint8 by a head given as `tap_weights`, without bias.

        Gradients reach the weights, but not the features.
        """
        with torch.no_grad():
            tap_maps = self.tap_maps(images)
        maps = [functional.conv2d(*pair) for pair in zip(tap_maps, weights, strict=True)]
        return torch.stack(resized_to_first(maps)).sum(dim=0)[:, 0]

    def positive_probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits of patches (N, 2) to calibrated probabilities of the positive class (N,)."""
        return self.decision.positive_probabilities(logits)


Network = CrackClassifier | CrackMap


def is_map(network: Network) -> TypeGuard[CrackMap]:
    """Returns whether a network is a crack map, which marks cells, rather than a classifier, which scores windows."""
    return isinstance(network, CrackMap)


def resized_to_first(maps: Sequence[Tensor]) -> list[Tensor]:
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
    """Returns the facts of the package's own map: its head, its decision, and its provenance."""
    facts: dict[str, Any] = json.loads(files("crack_lightning.models").joinpath(PACKAGE_MAP).read_text("utf-8"))
    return facts


def package_map(
    decision: Decision | None = None,
    *,
    weights: tuple[dict[str, Tensor] | None, WeightsSource] | None = None,
    **settings: Any,
) -> CrackMap:
    """Builds the package's map, trained on synthetic cracks; a `decision` replaces the package's own.

    `weights` is an earlier result of `resolve_weights`. `settings` are `patch_px` and `mm_per_px`, which the map's
    checkpoint keeps. Raises the errors of `resolve_weights`.
    """
    facts = package_facts()
    log.info("using the package's crack map, trained on synthetic cracks only")
    state_dict, source = weights or resolve_weights(facts["backbone"], facts["weights"])
    return CrackMap(
        backbone=facts["backbone"],
        decision=decision or decision_from(facts["decision"]),
        state_dict=state_dict,
        weights=source.as_dict(),
        **{name: facts[name] for name in ("weight", "bias", *CALIBRATION)},
        **settings,
    )
