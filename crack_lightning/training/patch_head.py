"""What labelled patches change in the head of a crack map: multiple instances (Dietterich et al. 1997), made linear.

The score of a patch is that of its best stretches. Its slope says how each of the head's weights moves it, so that the
label of a patch teaches the cells that decide. How far the head may move from where it was is chosen on groups of
patches that were left out: few labels leave it near where it is. The head that marks photographs moves less: patches
show little of what photographs show, and what suits patches best marks edges, cables and writing there.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.training.logistic import fitted

log = logging.getLogger(__name__)

# In labels. With 20 to 200 tiles of SDNET2018 the usual pull made AUROC on photographs that were left out at most 0.002
# worse (benchmarks/labelled.py). What else seems better is chosen where there are labels enough to be certain of it.
PULLS, USUAL = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0), 1000.0
CERTAIN, ENOUGH = 2.0, 50  # standard errors of the difference; labels of each class
FOLDS = 5
# Slope and offset of the score alone: a few patches may be told apart without an error, and would have no end.
SCORE_PULL, SCORE_LABELS, LEAST_SLOPE = 0.02, 20, 0.1


@dataclass(frozen=True)
class PatchFit:
    """What is added to the weights (channels,): `change` to those that judge patches, `map_change` to those that mark
    cells; the new patch_level and patch_scale of CrackMap; `losses`: the mean cross-entropy of patches that were left
    out, by pull; `pull`: the one chosen, None where the head stays."""

    change: Tensor
    map_change: Tensor
    level: float
    scale: float
    pull: float | None
    losses: dict[float, float]


def fit_patches(
    scores: Tensor, slopes: Tensor, targets: Tensor, groups: Sequence[str], *, level: float, scale: float
) -> PatchFit:
    """What the patches teach, whose `scores` (n,) and `slopes` (n, channels) are of the head as it is.

    `targets` (n,) are 1 for a crack; those of one of `groups` are left out together. `level` and `scale` turn scores
    into log-odds before anything is learned.
    """
    deviation = slopes.std(dim=0, correction=0) + 1e-6
    x, odds, targets = slopes / deviation, (scores - level) / scale, targets.float()
    folds = _folds(groups)
    pull, losses = _chosen(x, odds, targets, folds)
    slope, offset = score_line(odds, targets, pull=SCORE_LABELS / len(odds))
    change, of_map, moved = torch.zeros_like(deviation), torch.zeros_like(deviation), 0.0
    if pull is not None:
        line, unit = slope * odds + offset, scale / slope / deviation
        w = _moved(x, line, targets, pull)
        change, moved = w[:-1] * unit, w[-1].item()
        of_map = _moved(x, line, targets, max(pull, USUAL, len(x)))[:-1] * unit
    # slope * (score - level) / scale + offset + moved, written as (score - new level) / new scale
    return PatchFit(change, of_map, level - (offset + moved) * scale / slope, scale / slope, pull, losses)


def score_line(
    odds: Tensor, targets: Tensor, *, start: tuple[float, float] = (1.0, 0.0), pull: float = SCORE_PULL
) -> tuple[float, float]:
    """Slope, at least LEAST_SLOPE, and offset of log-odds that suit `targets` (n,), pulled towards `start`."""
    counts = torch.full_like(odds, 1 / len(odds))
    slope, offset = fitted(
        odds[:, None], targets, counts, start=torch.tensor(start), pull=torch.full((2,), pull)
    ).tolist()
    return max(slope, LEAST_SLOPE), offset


def _moved(x: Tensor, odds: Tensor, targets: Tensor, pull: float) -> Tensor:
    """Weights of x beside `odds`, and a bias (k + 1,)."""
    strength = torch.full((x.shape[1] + 1,), pull / len(x))
    strength[-1] = SCORE_LABELS / len(x)
    counts = torch.full_like(odds, 1 / len(odds))
    return fitted(x, targets, counts, start=torch.zeros(x.shape[1] + 1), pull=strength, offset=odds)


def _folds(groups: Sequence[str]) -> Tensor:
    """(n,): which of FOLDS parts each patch is left out with; whole groups."""
    names = sorted(set(groups))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    place = {name: number % FOLDS for name, number in zip(names, order, strict=True)}
    return torch.tensor([place[group] for group in groups])


def _chosen(x: Tensor, odds: Tensor, targets: Tensor, folds: Tensor) -> tuple[float | None, dict[float, float]]:
    """The pull with the least loss on what was left out, if it is certain that it is less than the usual one's.

    The usual one where a class has less than ENOUGH labels or nothing can be left out; None, the head stays as it was,
    where a class has no label, and where that is certainly better.
    """
    fewest = min(int(targets.sum()), int((1 - targets).sum()))
    if fewest < ENOUGH:
        return (USUAL if fewest else None), {}
    found: dict[float | None, list[Tensor]] = {pull: [] for pull in (None, *PULLS)}
    for fold in folds.unique():
        out = folds == fold
        kept = targets[~out]
        if not 0 < kept.sum() < len(kept):
            continue
        slope, offset = score_line(odds[~out], kept, pull=SCORE_LABELS / len(kept))
        line = slope * odds + offset
        for pull, losses in found.items():
            logits = line[out]
            if pull is not None:
                w = _moved(x[~out], line[~out], kept, pull)
                logits = logits + x[out] @ w[:-1] + w[-1]
            losses.append(functional.binary_cross_entropy_with_logits(logits, targets[out], reduction="none"))
    if not found[None]:
        return USUAL, {}
    each = {pull: torch.cat(losses) for pull, losses in found.items()}
    means = {pull: losses.mean().item() for pull, losses in each.items()}
    best = min(means, key=lambda pull: means[pull])
    gain = each[USUAL] - each[best]
    certain = gain.mean() > CERTAIN * gain.std() / len(gain) ** 0.5
    return (best if certain else USUAL), {pull: mean for pull, mean in means.items() if pull is not None}
