"""Judges marks as wholes: a logistic regression from their traits to the probability that they are cracks."""

import numpy as np
import torch
from torch import Tensor, nn

from crack_lightning.models.shape_correction import HIDDEN

SHAPE_TRAITS = 18  # numbers of a mark's shape and light
TRAITS = SHAPE_TRAITS + 2 * HIDDEN  # and the means along it of the hidden maps at full and at half size
MAX_DEVIATIONS = 3.0  # to which a trait counts


class MarkJudge(nn.Module):
    """Traits (n, TRAITS) of marks to log-odds (n,) that they are cracks.

    `mean` and `deviation` standardise the traits, which are then limited, so that no single one decides.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(TRAITS))
        self.register_buffer("deviation", torch.ones(TRAITS))
        self.register_buffer("weight", torch.zeros(TRAITS))
        self.register_buffer("bias", torch.zeros(()))

    def standardised(self, traits: Tensor) -> Tensor:
        """Returns traits (n, TRAITS) in deviations from their mean, limited to MAX_DEVIATIONS."""
        return ((traits - self.mean) / self.deviation).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)

    def forward(self, traits: Tensor) -> Tensor:
        return self.standardised(traits) @ self.weight + self.bias

    def probabilities(self, traits: np.ndarray) -> np.ndarray:
        """Returns the probabilities (n,) that marks with `traits` (n, TRAITS) are cracks, 0..1."""
        return np.asarray(self(torch.from_numpy(traits).to(self.mean.device)).sigmoid().cpu())

    def direction(self, seen: np.ndarray) -> np.ndarray:
        """Returns what the network saw along a mark, (2 * HIDDEN,), the last of its traits, standardised as a vector of
        unit length."""
        mean, deviation = (values[SHAPE_TRAITS:].cpu().numpy() for values in (self.mean, self.deviation))
        deviations = ((seen - mean) / deviation).clip(-MAX_DEVIATIONS, MAX_DEVIATIONS)
        return np.asarray(deviations / max(float(np.linalg.norm(deviations)), 1e-6))
