"""Calibrates probabilities and chooses the threshold and the band of probabilities that needs review."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.errors import UserError
from crack_lightning.evaluation.metric_names import parse_threshold
from crack_lightning.models.decision import Decision, widened

BINS = 15  # of equal width, as in Guo et al. 2017
TEMPERATURES = (0.05, 20.0)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Returns the number to divide logits (N, 2) by, so that their softmax is as sure as it is right (Guo et al. 2017).

    Minimises the cross-entropy with targets smoothed as in Platt (1999): unsmoothed, a validation set in which nothing
    is wrong would demand certainty.

    Raises ValueError when `labels` (N,) hold one class only.
    """
    counts = torch.bincount(labels, minlength=logits.shape[1])
    if (counts == 0).any():
        raise UserError(f"{len(labels)} images of one class: both classes are needed to calibrate")
    smooth = (counts + 1) / (counts + 2)  # of the true class
    targets = torch.stack([1 - smooth[labels], smooth[labels]], dim=1).double()
    true_class, other_class = logits.gather(1, labels[:, None]), logits.gather(1, 1 - labels[:, None])
    ordered = torch.cat([other_class, true_class], dim=1).double()  # (N, 2): the other class, the true class

    def loss(log_temperature: float) -> float:
        return functional.cross_entropy(ordered / math.exp(log_temperature), targets).item()

    return math.exp(_lowest(loss, *map(math.log, TEMPERATURES)))


def _lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Returns where a function with one minimum is lowest, to 1e-6, by golden-section search."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(a), function(b)
    while high - low > 1e-6:
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(b)
    return (low + high) / 2


@dataclass(frozen=True)
class Reliability:
    """The mean probability, share of positives and number of images of each bin that holds any, each (bins,)."""

    probability: Tensor
    share: Tensor
    count: Tensor

    @property
    def error(self) -> float:
        """Returns the expected calibration error, 0..1: the mean distance of probability and share, by images."""
        if not self.count.sum():
            return math.nan
        return (((self.probability - self.share).abs() * self.count).sum() / self.count.sum()).item()


def reliability(probabilities: Tensor, targets: Tensor, *, bins: int = BINS) -> Reliability:
    """Compares probabilities (N,) of the positive class with `targets` (N,), 1 for positive, by bins."""
    bin_index = (probabilities * bins).long().clamp(0, bins - 1)
    count = torch.bincount(bin_index, minlength=bins)
    filled = count > 0
    mean = torch.bincount(bin_index, probabilities.double(), bins)[filled] / count[filled]
    share = torch.bincount(bin_index, targets.double(), bins)[filled] / count[filled]
    return Reliability(mean, share, count[filled])


def uncalibrated(probabilities: Tensor, temperature: float) -> Tensor:
    """Returns probabilities (N,) as they were before their logits were divided by `temperature`."""
    return torch.sigmoid(torch.logit(probabilities.double(), eps=1e-12) * temperature)


def brier_score(probabilities: Tensor, targets: Tensor) -> float:
    """Returns the mean squared distance of probability and truth, 0 to 1, lower is better (Brier 1950)."""
    return ((probabilities - targets) ** 2).mean().item()


def operating_point(wanted: str | float, probabilities: Tensor, targets: Tensor) -> float:
    """Returns the threshold that `wanted` asks for: a number, `recall:0.99` or `precision:0.95`.

    For a recall it is the highest threshold that reaches it, for a precision the lowest, on `probabilities` (N,) of the
    positive class and `targets` (N,), 1 for positive.

    Raises ValueError when `wanted` is none of these, or when no threshold reaches it.
    """
    kind, level = parse_threshold(wanted)
    if kind == "number":
        return level
    if not targets.any():
        raise UserError(f"threshold={wanted}: there is no positive image to choose it on")
    order = probabilities.argsort(descending=True)
    ranked, hits = probabilities[order], targets[order].cumsum(0)
    last = torch.cat([ranked[1:] != ranked[:-1], torch.tensor([True])])  # of each run of equal probabilities
    predicted = torch.arange(1, len(ranked) + 1)
    reached = (hits / targets.sum() if kind == "recall" else hits / predicted) >= level
    indices = (reached & last).nonzero().flatten()
    if not len(indices):
        best = (hits / predicted)[last].max().item()
        raise UserError(
            f"threshold={wanted}: the highest {kind} that any threshold reaches on validation is {best:.3f}"
        )
    return ranked[indices[0] if kind == "recall" else indices[-1]].item()


@dataclass(frozen=True)
class ReviewBand:
    """Probabilities from `low` to `high` need review: `share` of all images; `error_rate` of the rest is wrong."""

    low: float
    high: float
    share: float
    error_rate: float


def review_band(probabilities: Tensor, targets: Tensor, decision: Decision, *, error_rate: float) -> ReviewBand:
    """Returns the band in which the fewest images need review so that at most `error_rate` of the rest is wrong.

    Images of `probabilities` (N,) enter the band in order of doubt, the nearest to the threshold in log-odds first.
    `decision` itself counts the images in the band, so that the rate holds for every caller of it.
    """
    threshold = torch.logit(torch.tensor(decision.threshold, dtype=torch.float64), eps=1e-12)
    doubt = (torch.logit(probabilities.double(), eps=1e-12) - threshold).abs()
    wrong = decision.is_positive(probabilities) != (targets == 1)
    count = _fewest(doubt, wrong, error_rate)
    if count == 0:
        return ReviewBand(decision.threshold, decision.threshold, 0.0, _share(wrong))
    for width in doubt.sort().values[count - 1 :].unique():
        inside = probabilities[doubt <= width].double()
        low = min(inside.min().item(), torch.sigmoid(threshold - width).item())
        high = max(inside.max().item(), torch.sigmoid(threshold + width).item())
        limits = widened(low, high)
        outside = ~replace(decision, review_band=limits).needs_review(probabilities)
        band = ReviewBand(*limits, _share(~outside), _share(wrong[outside]))
        if band.error_rate <= error_rate:
            break
    return band


def _fewest(doubt: Tensor, wrong: Tensor, error_rate: float) -> int:
    """Returns how many of the most doubtful images need review, before a band takes in others with them."""
    errors = wrong[doubt.argsort()].double()
    errors_left = torch.cat([errors.flip(0).cumsum(0).flip(0), torch.zeros(1)])  # when the first k are reviewed
    images_left = torch.arange(len(errors), -1, -1).clamp(min=1)
    return int(((errors_left / images_left) <= error_rate).nonzero()[0])


def _share(chosen: Tensor) -> float:
    return chosen.double().mean().item() if len(chosen) else 0.0
