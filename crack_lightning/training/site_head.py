"""Trains the head of a crack map on corrections: a second-order step from the previous head, held by kept cells.

The corrections enter as logistic regression on the cells that they name. The step is held by the curvature of the loss
on cells of drawn cracks (the Laplace approximation of that head's posterior, MacKay 1992) and a pull to its weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.features.cells import Cells
from crack_lightning.training.cell_head import weights_of

# Chosen by benchmarks/corrected.py on photographs with masks, in steps of two, together.
PULL, HELD = 500.0, 1000.0
FULL_CELLS = 40  # a correction of at least this many cells counts in full
STEPS, LEAST_GAIN = 8, 1e-5  # of Newton's method, which ends where a step gains less than this share of the loss
LEAST_CANDIDATES = 10


@dataclass(frozen=True)
class CorrectedCells:
    """Cells of corrections: `features` (n, channels) less their photograph's mean; `targets` (n,) 1 or 0; `counts` (n,)
    how much each counts; `offsets` (n,) of the logits, which set the photograph's median to 0 and its level to the
    threshold."""

    features: Tensor
    targets: Tensor
    counts: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Start:
    """The head before training: `weight` (channels,), the `deviation` (channels,) of features of photographs, and the
    curvature `held` (channels + 1, channels + 1), which holds the head near where it is."""

    weight: Tensor
    deviation: Tensor
    held: Tensor


def start_of(weight: Tensor, level: float, deviation: Tensor, kept: Cells) -> Start:
    """Returns the start for a head; `kept` are cells of drawn pictures, with features less each picture's mean."""
    x = _with_one(kept.features.float() / deviation)
    v = torch.cat([weight * deviation, torch.tensor([-level])])
    probability = (x @ v).sigmoid()
    counts = weights_of(kept) * probability * (1 - probability)
    held = HELD * (x * counts[:, None]).T @ x + PULL * torch.eye(len(v))
    return Start(weight, deviation, held)


def counts_of(sizes: Sequence[int], weights: Sequence[float]) -> Tensor:
    """Returns how much each cell (sum of sizes,) counts: a correction counts as its weight, a short one less."""
    parts = [
        torch.full((size,), weight * min(1.0, size / FULL_CELLS) / max(size, 1))
        for size, weight in zip(sizes, weights, strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0)


def corrected_step(start: Start, cells: CorrectedCells, *, first: Tensor | None = None) -> Tensor:
    """Returns how far the corrections `said` move weights and bias (channels + 1,), of standardised features.

    The search begins at `first`: a nearby solution saves steps.
    """
    x = _with_one(cells.features / start.deviation)
    start_logits = x[:, :-1] @ (start.weight * start.deviation) + cells.offsets
    step = torch.zeros(x.shape[1]) if first is None else first.clone()
    loss = _loss(x, cells, start_logits, start.held, step)
    for _ in range(STEPS):
        probability = (x @ step + start_logits).sigmoid()
        slope = x.T @ (cells.counts * (probability - cells.targets)) + start.held @ step
        curvature = (x * (cells.counts * probability * (1 - probability))[:, None]).T @ x + start.held
        direction, length = torch.linalg.solve(curvature, slope), 1.0
        new_loss = _loss(x, cells, start_logits, start.held, step - direction)
        while new_loss > loss and length > 1e-3:
            length /= 2
            new_loss = _loss(x, cells, start_logits, start.held, step - length * direction)
        if new_loss >= loss:
            break
        step, gain, loss = step - length * direction, loss - new_loss, new_loss
        if gain < LEAST_GAIN * abs(loss):
            break
    return step


def _loss(x: Tensor, cells: CorrectedCells, start_logits: Tensor, held: Tensor, step: Tensor) -> float:
    entropy = functional.binary_cross_entropy_with_logits(x @ step + start_logits, cells.targets, reduction="none")
    return float((cells.counts * entropy).sum() + step @ held @ step / 2)


def moved_weight(start: Start, step: Tensor) -> Tensor:
    """Returns the weights (channels,) for raw features after the step."""
    return start.weight + step[:-1] / start.deviation


def level_shift(before: Tensor, after: Tensor) -> float:
    """Returns how much the level must rise for as many unlabelled cells to be marked as before.

    `before` and `after` (n,) are their logits above the level, by the previous head and by the new one.
    """
    marked = int((before >= 0).sum())
    if len(before) < LEAST_CANDIDATES or marked == 0:
        return 0.0
    return float(after.topk(marked).values[-1])


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)
