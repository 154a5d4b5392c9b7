"""The crack map: a head on frozen features of several depths, which gives each cell of 4 x 4 pixels a logit."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.errors import UserError
from crack_lightning.models.backbones import build_features
from crack_lightning.models.classifier import CrackClassifier, normalisation
from crack_lightning.models.decision import Decision
from crack_lightning.models.mark_judge import MarkJudge
from crack_lightning.models.shape_correction import ShapeCorrection, coarse_view, corrected_logits
from crack_lightning.models.taps import taps_of

CELL_PX = 4
LESSON_PX = 256  # side of the synthetic pictures that a crack map is trained on
# Settings that turn logits into probabilities.
CALIBRATION = ("level", "patch_level", "patch_scale")


class CrackMap(nn.Module):
    """Marks the cells of a picture that a crack runs through.

    `weight` (channels of all taps,) and `bias` are the linear head on the joined features of a cell. `patch_weight`
    scores patches, and equals `weight` until it is trained on labelled patches. `correction`, if there is one, adds to
    the logits what shape says, and `judge` says which marks are cracks.

    `forward` takes RGB pictures (N, 3, h, w), uint8 in 0..255, sides multiples of 32, of one scale, and `rows`
    (k, channels) of weights. It returns a map for each row, (N, k, h/4, w/4), computed as a 1x1 convolution of each
    tap's map; the results are resized and added. This equals the rows times the joined features, since both steps are
    linear. `corrected_logits` makes logits of such maps of three scales.

    A cell has probability 0.5 where its logit exceeds the photograph's median by `level`. A patch has probability 0.5
    at the score `patch_level`; its log-odds grow by 1 with every `patch_scale` above it. `decision` says what the
    probabilities of patches mean, `marking_decision` what those of cells mean. `mm_per_px` is the scale of the pictures
    that the map was trained on, None if they had several scales.
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
        corrected: bool = False,
        level: float = 0.0,
        patch_level: float = 0.0,
        patch_scale: float = 1.0,
        patch_px: int = LESSON_PX,
        mm_per_px: float | None = None,
        weights: Mapping[str, str] | None = None,
        random: bool = True,
    ) -> None:
        super().__init__()
        self.backbone, self.decision, self.taps = backbone, decision, taps_of(backbone)
        self.level = level
        self.patch_level, self.patch_scale = patch_level, patch_scale
        self.patch_px, self.mm_per_px = patch_px, mm_per_px
        self.weights = dict(weights or {})
        mean, std = normalisation(backbone)
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1))
        layers, _ = build_features(backbone, state_dict, random=random)
        self.features = layers[: self.taps[-1].child + 1].requires_grad_(False)
        channels = sum(tap.channels for tap in self.taps)
        head_weight = torch.zeros(channels) if weight is None else torch.tensor(weight, dtype=torch.float32)
        if head_weight.shape != (channels,):
            raise UserError(f"a crack map of {backbone} has {channels} weights, not {len(head_weight)}")
        self.register_buffer("weight", head_weight)
        self.register_buffer("patch_weight", head_weight.clone())
        self.register_buffer("bias", torch.tensor(float(bias)))
        self.correction = ShapeCorrection(channels).requires_grad_(False) if corrected else None
        self.judge = MarkJudge() if corrected else None
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
            "corrected": self.correction is not None,
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

    def rows(self, weight: Tensor | None = None) -> Tensor:
        """Returns the rows (k, channels) for `forward`: the head's weight, or another `weight` (channels,), and the
        projections of the correction."""
        head = (self.weight if weight is None else weight)[None]
        return head if self.correction is None else torch.cat([head, self.correction.projection])

    def split(self, rows: Tensor) -> list[Tensor]:
        """Splits `rows` (k, channels) by taps: each part (k, channels of the tap, 1, 1) is a convolution's weight."""
        return [part[:, :, None, None] for part in rows.split([tap.channels for tap in self.taps], dim=1)]

    def forward(self, images: Tensor, rows: Tensor) -> Tensor:
        # Gradients reach the rows, but not the features.
        with torch.no_grad():
            tap_maps = self.tap_maps(images)
        maps = [functional.conv2d(*pair) for pair in zip(tap_maps, self.split(rows), strict=True)]
        return torch.stack(resized_to_first(maps)).sum(dim=0)

    def corrected_logits(self, maps: Sequence[Tensor]) -> Tensor:
        """Returns logits (N, h/4, w/4) from the maps (N, k, h, w) of three scales that `forward` gives for `rows`."""
        fine, half, quarter = maps
        return corrected_logits(fine, coarse_view(half, quarter, self.correction), self.correction)[0] + self.bias

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
