"""Trains the head of a crack map on corrections; cells of synthetic cracks hold it near the previous head.

The loss is that of logistic regression on the cells named by corrections, plus a quadratic penalty on the step from the
previous head, minimised by Newton's method. The penalty is the curvature of the loss on cells of synthetic cracks (the
Laplace approximation of the previous head's posterior, MacKay 1992), plus a pull to the previous weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.features.cells import Cells
from crack_lightning.training.cell_head import cell_weights

# Chosen together by benchmarks/corrected.py on photographs with masks, in factors of two.
WEIGHT_PULL, SYNTHETIC_WEIGHT = 500.0, 1000.0  # weights of the two terms of the penalty: pull, curvature
FULL_CELLS = 40  # a correction with at least this many cells has its full weight
# Newton's method ends after MAX_STEPS, or when a step reduces the loss by a share below MIN_GAIN.
MAX_STEPS, MIN_GAIN = 8, 1e-5
MIN_CANDIDATES = 10  # with fewer unlabelled cells the level does not change


@dataclass(frozen=True)
class CorrectedCells:
    """The n cells that corrections name.

    `features` (n, channels) are those of the cells minus their photograph's mean. `targets` (n,) are 1 for a crack,
    else 0. `counts` (n,) are the weights of the cells in the loss. `offsets` (n,) are added to the logits, so that they
    are relative to the photograph's median and level.
    """

    features: Tensor
    targets: Tensor
    counts: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Start:
    """The head before training.

    `weight` (channels,) are its weights. `deviation` (channels,) is the standard deviation of photographs' features.
    `penalty` (channels + 1, channels + 1) is the matrix of the quadratic penalty on a step.
    """

    weight: Tensor
    deviation: Tensor
    penalty: Tensor


def start_of(weight: Tensor, level: float, deviation: Tensor, synthetic: Cells) -> Start:
    """Returns the start for a head; the features of `synthetic` cells are those minus the mean of their picture."""
    x = _with_one(synthetic.features.float() / deviation)
    v = torch.cat([weight * deviation, torch.tensor([-level])])
    probability = (x @ v).sigmoid()
    curvatures = cell_weights(synthetic) * probability * (1 - probability)
    penalty = SYNTHETIC_WEIGHT * (x * curvatures[:, None]).T @ x + WEIGHT_PULL * torch.eye(len(v))
    return Start(weight, deviation, penalty)


def correction_weights(sizes: Sequence[int], weights: Sequence[float]) -> Tensor:
    """Returns the weight (sum of sizes,) of each cell: its share of its correction's, which is less for a short one."""
    parts = [
        torch.full((size,), weight * min(1.0, size / FULL_CELLS) / max(size, 1))
        for size, weight in zip(sizes, weights, strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0)


def corrected_step(start: Start, cells: CorrectedCells, *, first: Tensor | None = None) -> Tensor:
    """Returns the change of weights and bias (channels + 1,), for standardised features, that corrected `cells` cause.

    The search starts at `first`, if given; a nearby solution saves steps.
    """
    x = _with_one(cells.features / start.deviation)
    start_logits = x[:, :-1] @ (start.weight * start.deviation) + cells.offsets
    step = torch.zeros(x.shape[1]) if first is None else first.clone()
    loss = _loss(x, cells, start_logits, start.penalty, step)
    for _ in range(MAX_STEPS):
        probability = (x @ step + start_logits).sigmoid()
        slope = x.T @ (cells.counts * (probability - cells.targets)) + start.penalty @ step
        curvature = (x * (cells.counts * probability * (1 - probability))[:, None]).T @ x + start.penalty
        direction, length = torch.linalg.solve(curvature, slope), 1.0
        new_loss = _loss(x, cells, start_logits, start.penalty, step - direction)
        while new_loss > loss and length > 1e-3:
            length /= 2
            new_loss = _loss(x, cells, start_logits, start.penalty, step - length * direction)
        if new_loss >= loss:
            break
        step, gain, loss = step - length * direction, loss - new_loss, new_loss
        if gain < MIN_GAIN * abs(loss):
            break
    return step


def _loss(x: Tensor, cells: CorrectedCells, start_logits: Tensor, penalty: Tensor, step: Tensor) -> float:
    entropy = functional.binary_cross_entropy_with_logits(x @ step + start_logits, cells.targets, reduction="none")
    return float((cells.counts * entropy).sum() + step @ penalty @ step / 2)


def moved_weight(start: Start, step: Tensor) -> Tensor:
    """Returns the weights (channels,) after the step, for features that are not standardised."""
    return start.weight + step[:-1] / start.deviation


def level_shift(before: Tensor, after: Tensor) -> float:
    """Returns by how much the level must rise so that as many unlabelled cells are marked as before.

    `before` and `after` (n,) are the logits of these cells, minus the level, by the previous head and by the new one.
    """
    marked = int((before >= 0).sum())
    if len(before) < MIN_CANDIDATES or marked == 0:
        return 0.0
    return float(after.topk(marked).values[-1])


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)
