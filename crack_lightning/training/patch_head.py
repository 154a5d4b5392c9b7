"""Fits the head of a crack map to labelled patches: multiple-instance learning (Dietterich et al. 1997), linearised.

The score of a patch is that of its best stretches. Its slopes are the derivatives of the score by the head's weights,
so that the label of a patch acts on the cells that determine its score. A pull holds the head near its weights; how
strong it is, is chosen on groups of patches held out of training, and with few labels it is strong. The head that marks
photographs changes less than the one for patches: patches show little of what photographs show, and the head that suits
patches best marks edges, cables and writing in photographs.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.training.logistic import fit_logistic

log = logging.getLogger(__name__)

# Strengths of the pull, in labels. With 20 to 200 tiles of SDNET2018, the default made AUROC on held-out photographs at
# most 0.002 worse (benchmarks/labelled.py). Another pull is chosen only if enough labels show that it is better: there
# must be MIN_LABELS of each class, and the loss must be lower by MIN_STANDARD_ERRORS of the difference.
PULLS, DEFAULT_PULL = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0), 1000.0
MIN_STANDARD_ERRORS, MIN_LABELS = 2.0, 50
FOLDS = 5
# Slope and offset of the score are pulled too: they would grow without limit where they separate a few patches without
# error. That pull is SCORE_PULL_LABELS divided by the number of labels, or DEFAULT_SCORE_PULL.
DEFAULT_SCORE_PULL, SCORE_PULL_LABELS, MIN_SLOPE = 0.02, 20, 0.1


@dataclass(frozen=True)
class PatchFit:
    """Changes of a head.

    `change` (channels,) is added to the weights for patches, `map_change` to the weights that mark cells. `level` and
    `scale` are the new patch_level and patch_scale of CrackMap. `pull` is the chosen pull, None where the weights do
    not change. `losses` maps each pull to the mean cross-entropy of held-out patches.
    """

    change: Tensor
    map_change: Tensor
    level: float
    scale: float
    pull: float | None
    losses: dict[float, float]


def fit_patches(
    scores: Tensor, slopes: Tensor, targets: Tensor, groups: Sequence[str], *, level: float, scale: float
) -> PatchFit:
    """Returns the changes of a head by patches with `scores` (n,) and `slopes` (n, channels) from that head.

    `targets` (n,) are 1 for a crack; patches of the same group are held out together. The present patch_level and
    patch_scale are `level` and `scale`: the log-odds of a patch are (score - level) / scale.
    """
    deviation = slopes.std(dim=0, correction=0) + 1e-6
    x, odds, targets = slopes / deviation, (scores - level) / scale, targets.float()
    folds = _folds(groups)
    pull, losses = _choose_pull(x, odds, targets, folds)
    slope, offset = score_line(odds, targets, pull=SCORE_PULL_LABELS / len(odds))
    change, map_change, shift = torch.zeros_like(deviation), torch.zeros_like(deviation), 0.0
    if pull is not None:
        line, unit = slope * odds + offset, scale / slope / deviation
        w = _fit_change(x, line, targets, pull)
        change, shift = w[:-1] * unit, w[-1].item()
        map_change = _fit_change(x, line, targets, max(pull, DEFAULT_PULL, len(x)))[:-1] * unit
    # slope * (score - level) / scale + offset + shift, written as (score - new level) / new scale
    return PatchFit(change, map_change, level - (offset + shift) * scale / slope, scale / slope, pull, losses)


def score_line(
    odds: Tensor, targets: Tensor, *, start: tuple[float, float] = (1.0, 0.0), pull: float = DEFAULT_SCORE_PULL
) -> tuple[float, float]:
    """Returns the slope, at least MIN_SLOPE, and offset that fit `odds` to `targets` (n,), pulled towards `start`."""
    sample_weights = torch.full_like(odds, 1 / len(odds))
    slope, offset = fit_logistic(
        odds[:, None], targets, sample_weights, start=torch.tensor(start), pull=torch.full((2,), pull)
    ).tolist()
    return max(slope, MIN_SLOPE), offset


def _fit_change(x: Tensor, odds: Tensor, targets: Tensor, pull: float) -> Tensor:
    """Returns the weights and bias (k + 1,) of a linear function of `x` (n, k) that is added to `odds` (n,)."""
    strength = torch.full((x.shape[1] + 1,), pull / len(x))
    strength[-1] = SCORE_PULL_LABELS / len(x)
    sample_weights = torch.full_like(odds, 1 / len(odds))
    return fit_logistic(x, targets, sample_weights, start=torch.zeros(x.shape[1] + 1), pull=strength, offset=odds)


def _folds(groups: Sequence[str]) -> Tensor:
    """Returns the fold (n,), from 0 to FOLDS - 1, with which each patch is held out; groups stay together."""
    names = sorted(set(groups))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    fold_of = {name: index % FOLDS for name, index in zip(names, order, strict=True)}
    return torch.tensor([fold_of[group] for group in groups])


def _choose_pull(x: Tensor, odds: Tensor, targets: Tensor, folds: Tensor) -> tuple[float | None, dict[float, float]]:
    """Returns a pull and the mean losses of held-out patches by pull.

    The pull is the one with the lowest loss if that is significantly lower than with DEFAULT_PULL, which is returned
    otherwise, and where a class has fewer than MIN_LABELS or nothing can be held out. None stands for unchanged
    weights: where that loss is significantly lower, or a class has no label.
    """
    smaller_class = min(int(targets.sum()), int((1 - targets).sum()))
    if smaller_class < MIN_LABELS:
        return (DEFAULT_PULL if smaller_class else None), {}
    fold_losses: dict[float | None, list[Tensor]] = {pull: [] for pull in (None, *PULLS)}
    for fold in folds.unique():
        held_out = folds == fold
        known = targets[~held_out]
        if not 0 < known.sum() < len(known):
            continue
        slope, offset = score_line(odds[~held_out], known, pull=SCORE_PULL_LABELS / len(known))
        line = slope * odds + offset
        for pull, losses in fold_losses.items():
            logits = line[held_out]
            if pull is not None:
                w = _fit_change(x[~held_out], line[~held_out], known, pull)
                logits = logits + x[held_out] @ w[:-1] + w[-1]
            losses.append(functional.binary_cross_entropy_with_logits(logits, targets[held_out], reduction="none"))
    if not fold_losses[None]:
        return DEFAULT_PULL, {}
    patch_losses = {pull: torch.cat(losses) for pull, losses in fold_losses.items()}
    means = {pull: losses.mean().item() for pull, losses in patch_losses.items()}
    best = min(means, key=lambda pull: means[pull])
    gain = patch_losses[DEFAULT_PULL] - patch_losses[best]
    is_significant = gain.mean() > MIN_STANDARD_ERRORS * gain.std() / len(gain) ** 0.5
    return (best if is_significant else DEFAULT_PULL), {pull: mean for pull, mean in means.items() if pull is not None}
