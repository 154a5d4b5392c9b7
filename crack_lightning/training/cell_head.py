"""Fits the linear head of a crack map to cells: weighted logistic regression, in seconds."""

import torch
from torch import Tensor

from crack_lightning.features.cells import BESIDE, CLUTTER, CRACK, PLAIN, Cells
from crack_lightning.training.logistic import fitted

# Of the loss. Clutter counts most by far: with equal shares every edge and stain is marked as a crack. Chosen on half
# of the photographs with masks, in steps of three; between 0.85 and 0.92 nothing changes.
SHARES = {CRACK: 0.03, BESIDE: 0.02, CLUTTER: 0.89, PLAIN: 0.06}
L2 = 0.03  # on standardised features; 0.03 to 0.1 do equally well, 0.0001 is worse everywhere
THIN = 2.0  # how many times a cell of a thin crack counts


def fit_head(cells: Cells, *, l2: float = L2, prior: tuple[Tensor, float] | None = None) -> tuple[Tensor, float]:
    """Returns weights (channels,) and bias of the head for raw features.

    The penalty pulls towards the weights of `prior`, if given, else towards 0.
    """
    x = cells.features.float()
    mean, deviation = x.mean(dim=0), x.std(dim=0) + 1e-3
    x.sub_(mean).div_(deviation)
    targets, counts = (cells.kinds == CRACK).float(), weights_of(cells)
    start, pull = torch.zeros(x.shape[1] + 1), torch.full((x.shape[1] + 1,), l2)
    pull[-1] = 0.0
    if prior is not None:  # turned into weights for standardised features
        start = torch.cat([prior[0] * deviation, torch.tensor([prior[1] + float((mean * prior[0]).sum())])])
    standardised = fitted(x, targets, counts, start=start, pull=pull)
    raw = standardised[:-1] / deviation
    return raw, float(standardised[-1] - (mean * raw).sum())


def weights_of(cells: Cells) -> Tensor:
    """Returns how much each cell (n,) counts: the shares of the kinds that occur, and thin cracks more."""
    counts = torch.where(cells.thin & (cells.kinds == CRACK), THIN, 1.0)
    for kind, share in SHARES.items():
        counts[cells.kinds == kind] *= share / counts[cells.kinds == kind].sum().clamp(min=1e-9)
    return counts
