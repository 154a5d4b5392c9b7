"""Judges marks as wholes: a logistic regression from their traits to the probability that they are cracks."""

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

    def seen_in_deviations(self, values: Tensor) -> Tensor:
        """Returns the last traits (..., 2 * HIDDEN), which the network saw, in deviations from their mean, limited."""
        deviations = (values - self.mean[SHAPE_TRAITS:]) / self.deviation[SHAPE_TRAITS:]
        return deviations.clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)

    def forward(self, traits: Tensor) -> Tensor:
        return self.standardised(traits) @ self.weight + self.bias
