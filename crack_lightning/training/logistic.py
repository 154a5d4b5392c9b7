"""Fits logistic regression with a quadratic pull towards given weights."""

import torch
from torch import Tensor
from torch.nn import functional

MAX_ITERATIONS, HISTORY_SIZE = 60, 12


def fit_logistic(
    x: Tensor, targets: Tensor, sample_weights: Tensor, *, start: Tensor, pull: Tensor, offset: Tensor | float = 0.0
) -> Tensor:
    """Returns weights (k + 1,), the last of them the bias, for `x` (n, k) and `targets` (n,) in 0..1.

    Minimises the cross-entropy, with a weight (n,) for each sample, plus half of `pull` (k + 1,) times the squared
    distance to `start` (k + 1,), by L-BFGS (Liu and Nocedal 1989). `offset` (n,) is added to the logits.
    """
    w = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [w], max_iter=MAX_ITERATIONS, history_size=HISTORY_SIZE, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    @torch.no_grad()
    def loss() -> Tensor:
        logits = x @ w[:-1] + w[-1] + offset
        slope, distance = sample_weights * (logits.sigmoid() - targets), w - start
        w.grad = torch.cat([x.T @ slope, slope.sum()[None]]) + pull * distance
        entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (sample_weights * entropy).sum() + (pull * distance**2).sum() / 2

    optimizer.step(loss)
    return w.detach()
