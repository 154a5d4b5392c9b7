"""The linear head of a crack map from cells: weighted logistic regression, in seconds."""

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.features.cells import BESIDE, CLUTTER, CRACK, PLAIN, Cells

# Of the loss. What is no crack counts most by far: with equal shares every edge and stain is a crack. Chosen on half of
# the photographs with masks, in steps of three; between 0.85 and 0.92 nothing changes.
SHARES = {CRACK: 0.03, BESIDE: 0.02, CLUTTER: 0.89, PLAIN: 0.06}
L2 = 0.03  # on standardised features; 0.03 to 0.1 do equally well, 0.0001 is worse everywhere
THIN = 2.0  # times that a cell of a thin crack counts
ITERATIONS, HISTORY = 60, 12


def fit_head(cells: Cells, *, l2: float = L2, prior: tuple[Tensor, float] | None = None) -> tuple[Tensor, float]:
    """Weights (channels,) and bias of the head for raw features, by L-BFGS (Liu and Nocedal 1989).

    The penalty pulls towards the weights of `prior`, where one is given, else towards 0.
    """
    x = cells.features.float()
    mean, deviation = x.mean(dim=0), x.std(dim=0) + 1e-3
    x.sub_(mean).div_(deviation)
    targets, counts = (cells.kinds == CRACK).float(), weights_of(cells)
    start = torch.zeros(x.shape[1] + 1)
    if prior is not None:  # for standardised features
        start = torch.cat([prior[0] * deviation, torch.tensor([prior[1] + float((mean * prior[0]).sum())])])
    w = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [w], max_iter=ITERATIONS, history_size=HISTORY, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    @torch.no_grad()
    def loss() -> Tensor:
        logits = x @ w[:-1] + w[-1]
        slope = counts * (logits.sigmoid() - targets)
        w.grad = torch.cat([x.T @ slope + l2 * (w - start)[:-1], slope.sum()[None]])
        entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (counts * entropy).sum() + l2 * ((w - start)[:-1] ** 2).sum() / 2

    optimizer.step(loss)
    fitted = w.detach()
    raw = fitted[:-1] / deviation
    return raw, float(fitted[-1] - (mean * raw).sum())


def weights_of(cells: Cells) -> Tensor:
    """How much each cell (n,) counts: the shares of the kinds that are there, and thin cracks more."""
    counts = torch.where(cells.thin & (cells.kinds == CRACK), THIN, 1.0)
    for kind, share in SHARES.items():
        counts[cells.kinds == kind] *= share / counts[cells.kinds == kind].sum().clamp(min=1e-9)
    return counts
