"""The head of a crack map taught by corrections: a second-order step from the head that it had, held by kept cells.

What corrections say is logistic regression on the cells that they name. What holds it is the curvature of the loss on
cells of drawn cracks (the Laplace approximation of that head's posterior, MacKay 1992), and a pull to its weights.
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
FULL_CELLS = 40  # of a correction from which on it counts whole
STEPS, ENOUGH = 8, 1e-5  # of Newton's method; share of the loss below which it ends
LEAST_CANDIDATES = 10


@dataclass(frozen=True)
class Said:
    """Cells of corrections: `features` (n, channels), less the mean of their photograph's; `targets` (n,) 1 or 0;
    `counts` (n,) how much each counts; `offsets` (n,) of the logits, that the photograph's median is 0 and its level
    is the threshold."""

    features: Tensor
    targets: Tensor
    counts: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Start:
    """The head that is taught: `weight` (channels,), the `deviation` (channels,) of features of photographs, and what
    holds it: `held` (channels + 1, channels + 1)."""

    weight: Tensor
    deviation: Tensor
    held: Tensor


def start_of(weight: Tensor, level: float, deviation: Tensor, kept: Cells) -> Start:
    """`kept` are cells of drawn pictures, their features less the mean of each picture."""
    x = _with_one(kept.features.float() / deviation)
    v = torch.cat([weight * deviation, torch.tensor([-level])])
    probability = (x @ v).sigmoid()
    counts = weights_of(kept) * probability * (1 - probability)
    held = HELD * (x * counts[:, None]).T @ x + PULL * torch.eye(len(v))
    return Start(weight, deviation, held)


def counts_of(sizes: Sequence[int], weights: Sequence[float]) -> Tensor:
    """How much each cell (sum of sizes,) of corrections counts: a correction as its weight, a short one less."""
    parts = [
        torch.full((size,), weight * min(1.0, size / FULL_CELLS) / max(size, 1))
        for size, weight in zip(sizes, weights, strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0)


def taught(start: Start, said: Said, *, first: Tensor | None = None) -> Tensor:
    """How far weights and bias (channels + 1,), of standardised features, move from `start` by what was `said`.

    `first` is where the search begins: a solution near by saves steps.
    """
    x = _with_one(said.features / start.deviation)
    known = x[:, :-1] @ (start.weight * start.deviation) + said.offsets
    step = torch.zeros(x.shape[1]) if first is None else first.clone()
    loss = _loss(x, said, known, start.held, step)
    for _ in range(STEPS):
        probability = (x @ step + known).sigmoid()
        slope = x.T @ (said.counts * (probability - said.targets)) + start.held @ step
        curvature = (x * (said.counts * probability * (1 - probability))[:, None]).T @ x + start.held
        along, length = torch.linalg.solve(curvature, slope), 1.0
        lower = _loss(x, said, known, start.held, step - along)
        while lower > loss and length > 1e-3:
            length /= 2
            lower = _loss(x, said, known, start.held, step - length * along)
        if lower >= loss:
            break
        step, gained, loss = step - length * along, loss - lower, lower
        if gained < ENOUGH * abs(loss):
            break
    return step


def _loss(x: Tensor, said: Said, known: Tensor, held: Tensor, step: Tensor) -> float:
    entropy = functional.binary_cross_entropy_with_logits(x @ step + known, said.targets, reduction="none")
    return float((said.counts * entropy).sum() + step @ held @ step / 2)


def moved_weight(start: Start, step: Tensor) -> Tensor:
    """The weights (channels,) for raw features."""
    return start.weight + step[:-1] / start.deviation


def level_shift(before: Tensor, after: Tensor) -> float:
    """How much higher the level must be that of unlabelled cells as many stay marked.

    `before` and `after` (n,) are their logits above the level, by the head that was and by the one that is.
    """
    marked = int((before >= 0).sum())
    if len(before) < LEAST_CANDIDATES or marked == 0:
        return 0.0
    return float(after.topk(marked).values[-1])


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)
