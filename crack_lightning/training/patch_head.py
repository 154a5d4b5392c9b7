"""Fits the head of a crack map to labelled patches: multiple instances (Dietterich et al. 1997), made linear.

The score of a patch is the score of its best stretches. Its slope is how each of the head's weights moves it, so that
the label of a patch acts on the cells that decide. How far the head may move is chosen on groups of patches that were
left out: with few labels it stays near where it is. The head that marks photographs moves less: patches show little of
what photographs show, and what suits patches best marks edges, cables and writing there.
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
# worse (benchmarks/labelled.py). Another pull is chosen where there are enough labels to be certain that it is better.
PULLS, USUAL = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0), 1000.0
CERTAIN_ERRORS, ENOUGH_LABELS = 2.0, 50  # standard errors of the difference; labels of each class
FOLDS = 5
# For slope and offset of the score alone: where a few patches separate without an error, both would grow endlessly.
SCORE_PULL, SCORE_LABELS, LEAST_SLOPE = 0.02, 20, 0.1


@dataclass(frozen=True)
class PatchFit:
    """Changes of a head: `change` is added to the weights (channels,) that judge patches, `map_change` to those that
    mark cells; `level` and `scale` are the new patch_level and patch_scale of CrackMap; `losses` are the mean
    cross-entropies of patches that were left out, by pull; `pull` is the one chosen, None where the head stays."""

    change: Tensor
    map_change: Tensor
    level: float
    scale: float
    pull: float | None
    losses: dict[float, float]


def fit_patches(
    scores: Tensor, slopes: Tensor, targets: Tensor, groups: Sequence[str], *, level: float, scale: float
) -> PatchFit:
    """Returns the changes that patches call for, with `scores` (n,) and `slopes` (n, channels) by the present head.

    `targets` (n,) are 1 for a crack; the patches of one of `groups` are left out together. `level` and `scale` turn
    scores into log-odds before anything is learned.
    """
    deviation = slopes.std(dim=0, correction=0) + 1e-6
    x, odds, targets = slopes / deviation, (scores - level) / scale, targets.float()
    folds = _folds(groups)
    pull, losses = _chosen_pull(x, odds, targets, folds)
    slope, offset = score_line(odds, targets, pull=SCORE_LABELS / len(odds))
    change, map_change, shift = torch.zeros_like(deviation), torch.zeros_like(deviation), 0.0
    if pull is not None:
        line, unit = slope * odds + offset, scale / slope / deviation
        w = _fitted_change(x, line, targets, pull)
        change, shift = w[:-1] * unit, w[-1].item()
        map_change = _fitted_change(x, line, targets, max(pull, USUAL, len(x)))[:-1] * unit
    # slope * (score - level) / scale + offset + shift, written as (score - new level) / new scale
    return PatchFit(change, map_change, level - (offset + shift) * scale / slope, scale / slope, pull, losses)


def score_line(
    odds: Tensor, targets: Tensor, *, start: tuple[float, float] = (1.0, 0.0), pull: float = SCORE_PULL
) -> tuple[float, float]:
    """Returns slope, at least LEAST_SLOPE, and offset of log-odds that suit `targets` (n,), pulled towards `start`."""
    counts = torch.full_like(odds, 1 / len(odds))
    slope, offset = fitted(
        odds[:, None], targets, counts, start=torch.tensor(start), pull=torch.full((2,), pull)
    ).tolist()
    return max(slope, LEAST_SLOPE), offset


def _fitted_change(x: Tensor, odds: Tensor, targets: Tensor, pull: float) -> Tensor:
    """Returns weights of `x`, whose product is added to `odds`, and a bias (k + 1,)."""
    strength = torch.full((x.shape[1] + 1,), pull / len(x))
    strength[-1] = SCORE_LABELS / len(x)
    counts = torch.full_like(odds, 1 / len(odds))
    return fitted(x, targets, counts, start=torch.zeros(x.shape[1] + 1), pull=strength, offset=odds)


def _folds(groups: Sequence[str]) -> Tensor:
    """Returns which of FOLDS parts (n,) each patch is left out with; groups stay whole."""
    names = sorted(set(groups))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    place = {name: number % FOLDS for name, number in zip(names, order, strict=True)}
    return torch.tensor([place[group] for group in groups])


def _chosen_pull(x: Tensor, odds: Tensor, targets: Tensor, folds: Tensor) -> tuple[float | None, dict[float, float]]:
    """Returns the pull with the least loss on patches that were left out, if certainly less than USUAL, and the losses.

    Returns USUAL where a class has fewer than ENOUGH_LABELS or nothing can be left out; None, for the head to stay as
    it was, where a class has no label or where that is certainly better.
    """
    fewest = min(int(targets.sum()), int((1 - targets).sum()))
    if fewest < ENOUGH_LABELS:
        return (USUAL if fewest else None), {}
    fold_losses: dict[float | None, list[Tensor]] = {pull: [] for pull in (None, *PULLS)}
    for fold in folds.unique():
        left_out = folds == fold
        kept = targets[~left_out]
        if not 0 < kept.sum() < len(kept):
            continue
        slope, offset = score_line(odds[~left_out], kept, pull=SCORE_LABELS / len(kept))
        line = slope * odds + offset
        for pull, losses in fold_losses.items():
            logits = line[left_out]
            if pull is not None:
                w = _fitted_change(x[~left_out], line[~left_out], kept, pull)
                logits = logits + x[left_out] @ w[:-1] + w[-1]
            losses.append(functional.binary_cross_entropy_with_logits(logits, targets[left_out], reduction="none"))
    if not fold_losses[None]:
        return USUAL, {}
    patch_losses = {pull: torch.cat(losses) for pull, losses in fold_losses.items()}
    means = {pull: losses.mean().item() for pull, losses in patch_losses.items()}
    best = min(means, key=lambda pull: means[pull])
    gain = patch_losses[USUAL] - patch_losses[best]
    certain = gain.mean() > CERTAIN_ERRORS * gain.std() / len(gain) ** 0.5
    return (best if certain else USUAL), {pull: mean for pull, mean in means.items() if pull is not None}
