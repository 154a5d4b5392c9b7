"""The classifier: normalisation, backbone features, average pooling, dropout, linear head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from crack_lightning.errors import UserError
from crack_lightning.models.backbones import build_features
from crack_lightning.models.decision import Decision
from crack_lightning.models.options import IMAGE_SIZES
from crack_lightning.models.weights import resolve_weights
from crack_lightning.system.vision import get_model_weights

CHUNK = 4  # pictures per core at a time on the CPU, few enough for its cache to hold each layer's output


class Dropout(nn.Dropout):
    """A dropout twice as fast as torch's on the CPU, where torch's takes longer than the rest of a step of the head."""

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return features
        return features * (torch.rand_like(features) >= self.p) / (1 - self.p)


class CrackClassifier(nn.Module):
    """Distinguishes cracked concrete from sound concrete.

    `forward` takes RGB pictures (N, 3, h, w), uint8 in 0..255 or float in 0..1, and returns logits (N, 2) in
    the order of the decision's class names. It normalises the pictures itself. No gradient reaches frozen
    `features`, and they stay in evaluation mode even after `train()`.

    `decision` says what the probabilities mean.
    `patch_px`: side of the training pictures before they were resized to `image_size`; None if not known.
    `mm_per_px`: millimetres that a pixel of the training pictures shows; None if not known.
    `random`: False leaves the backbone's weights undefined, for a caller that loads them all.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        backbone: str,
        decision: Decision,
        image_size: int,
        dropout: float,
        freeze: bool,
        patch_px: int | None = None,
        mm_per_px: float | None = None,
        weights: Mapping[str, str] | None = None,
        state_dict: Mapping[str, Tensor] | None = None,
        random: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise UserError(f"model.dropout={dropout}: must be 0 or more and below 1")
        if image_size not in IMAGE_SIZES:
            raise UserError(f"data.image_size={image_size}: must be from {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} pixels")
        self.backbone = backbone
        self.decision = decision
        self.image_size = image_size
        self.patch_px, self.mm_per_px = patch_px, mm_per_px
        self.frozen = freeze
        self.weights = dict(weights or {})
        mean, std = normalisation(backbone)
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1))
        self.features, channels = build_features(backbone, state_dict, random=random)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(channels, len(decision.class_names))
        self.features.requires_grad_(not freeze)
        self.to(memory_format=torch.channels_last)  # 1.5 times as fast on CPU
        self.train()

    def train(self, mode: bool = True) -> "CrackClassifier":
        """Sets the mode as in any module, but keeps frozen features in evaluation mode, or BatchNorm would drift."""
        super().train(mode)
        if self.frozen:
            self.features.eval()
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """Normalises pictures (N, 3, h, w), uint8 or float in 0..1, in the way in which the backbone was trained."""
        if images.dtype == torch.uint8:
            images = images.to(self.pixel_mean.dtype) / 255
        return (images - self.pixel_mean) / self.pixel_std

    def feature_map(self, images: Tensor) -> Tensor:
        """Computes the backbone's last feature map (N, channels, h', w') of pictures (N, 3, h, w)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            chunk_size = CHUNK * torch.get_num_threads()
            tracing = torch.jit.is_tracing()  # type: ignore[attr-defined]
            if tracing or torch.is_grad_enabled() or images.device.type != "cpu" or len(images) <= chunk_size:
                return self._features(images)
            return torch.cat([self._features(chunk) for chunk in images.split(chunk_size)])

    def _features(self, images: Tensor) -> Tensor:
        return self.features(self.normalise(images).contiguous(memory_format=torch.channels_last))

    def pooled(self, images: Tensor) -> Tensor:
        """Computes the head's input (N, channels) from pictures (N, 3, h, w): the feature map, averaged."""
        return self.pool(self.feature_map(images)).flatten(1)

    def classify(self, pooled: Tensor) -> Tensor:
        """Computes logits (N, 2) from pooled features (N, channels)."""
        return self.head(self.dropout(pooled))

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.pooled(images))

    @property
    def marking_decision(self) -> Decision:
        """Returns the decision for windows, which is that for pictures."""
        return self.decision

    def probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits (N, 2) to calibrated probabilities (N, 2)."""
        return self.decision.probabilities(logits)

    def positive_probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits (N, 2) to calibrated probabilities of the positive class (N,)."""
        return self.decision.positive_probabilities(logits)

    @torch.no_grad()
    def predict_proba(self, images: Tensor) -> Tensor:
        """Returns calibrated probabilities (N, 2) of pictures in the form that `forward` takes; dropout is off."""
        mode = self.training
        self.eval()
        try:
            return self.probabilities(self(images))
        finally:
            self.train(mode)

    def facts(self) -> dict[str, Any]:
        """Returns everything besides the tensors that is needed to rebuild this classifier, as plain values."""
        return {
            "backbone": self.backbone,
            **self.decision.facts(),
            "image_size": self.image_size,
            "dropout": self.dropout.p,
            "freeze": self.frozen,
            "patch_px": self.patch_px,
            "mm_per_px": self.mm_per_px,
            "weights": self.weights,
        }


def build_classifier(*, backbone: str, weights: str | None, **options: Any) -> CrackClassifier:
    """Builds a `CrackClassifier` whose backbone has the weights that `resolve_weights` finds."""
    state_dict, source = resolve_weights(backbone, weights)
    return CrackClassifier(backbone=backbone, weights=source.as_dict(), state_dict=state_dict, **options)


def normalisation(backbone: str) -> tuple[list[float], list[float]]:
    """Returns the mean and standard deviation of each channel in the pixels that this backbone was trained on."""
    transform = get_model_weights(backbone).DEFAULT.transforms()
    return list(transform.mean), list(transform.std)
