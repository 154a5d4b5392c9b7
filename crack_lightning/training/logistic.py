"""Fits logistic regression, pulled towards a start, to its minimum in seconds."""

import torch
from torch import Tensor
from torch.nn import functional

ITERATIONS, HISTORY = 60, 12


def fitted(
    x: Tensor, targets: Tensor, counts: Tensor, *, start: Tensor, pull: Tensor, offset: Tensor | float = 0.0
) -> Tensor:
    """Returns weights (k + 1,), the last of them the bias, for `x` (n, k) and `targets` (n,) in 0..1, by L-BFGS.

    Minimises the cross-entropy, with `counts[i]` the weight of sample i, plus half of `pull` (k + 1,) times the squared
    distance to `start` (k + 1,). `offset` (n,) is added to the logits. Source: Liu and Nocedal 1989.
    """
    w = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [w], max_iter=ITERATIONS, history_size=HISTORY, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    @torch.no_grad()
    def loss() -> Tensor:
        logits = x @ w[:-1] + w[-1] + offset
        slope, distance = counts * (logits.sigmoid() - targets), w - start
        w.grad = torch.cat([x.T @ slope, slope.sum()[None]]) + pull * distance
        entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (counts * entropy).sum() + (pull * distance**2).sum() / 2

    optimizer.step(loss)
    return w.detach()
