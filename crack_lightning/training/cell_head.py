"""Fits the linear head of a crack map to cells by weighted logistic regression, in seconds."""

import torch
from torch import Tensor

from crack_lightning.features.cells import BESIDE, CLUTTER, CRACK, PLAIN, Cells
from crack_lightning.training.logistic import fit_logistic

# Share of each kind of cell in the loss. Clutter has by far the largest: with equal shares, every edge and stain would
# be marked as a crack. The shares were chosen on half of the photographs with masks, in factors of three; from 0.85 to
# 0.92, the share of clutter makes no difference.
LOSS_SHARES = {CRACK: 0.03, BESIDE: 0.02, CLUTTER: 0.89, PLAIN: 0.06}
L2 = 0.03  # penalty on the weights of standardised features; 0.03 to 0.1 are equally good, 0.0001 is always worse
THIN_WEIGHT = 2.0  # weight of a cell of a thin crack, where that of another crack is 1


def fit_head(cells: Cells, *, l2: float = L2, prior: tuple[Tensor, float] | None = None) -> tuple[Tensor, float]:
    """Returns the weights (channels,) and the bias of the head, for features that are not standardised.

    The penalty pulls the weights towards those of `prior` (weights and bias), if given, else towards 0.
    """
    x = cells.features.float()
    mean, deviation = x.mean(dim=0), x.std(dim=0) + 1e-3
    x.sub_(mean).div_(deviation)
    targets, sample_weights = (cells.kinds == CRACK).float(), cell_weights(cells)
    start, pull = torch.zeros(x.shape[1] + 1), torch.full((x.shape[1] + 1,), l2)
    pull[-1] = 0.0
    if prior is not None:  # converted to weights for standardised features
        start = torch.cat([prior[0] * deviation, torch.tensor([prior[1] + float((mean * prior[0]).sum())])])
    standardised = fit_logistic(x, targets, sample_weights, start=start, pull=pull)
    raw = standardised[:-1] / deviation
    return raw, float(standardised[-1] - (mean * raw).sum())


def cell_weights(cells: Cells) -> Tensor:
    """Returns the weight (n,) of each cell in the loss: each kind has its share, in which thin cracks count more."""
    weights = torch.where(cells.thin & (cells.kinds == CRACK), THIN_WEIGHT, 1.0)
    for kind, share in LOSS_SHARES.items():
        weights[cells.kinds == kind] *= share / weights[cells.kinds == kind].sum().clamp(min=1e-9)
    return weights
