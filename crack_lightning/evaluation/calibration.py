"""Calibrates probabilities, and chooses the threshold and the band of probabilities that need review."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.errors import UserError
from crack_lightning.evaluation.metric_names import parse_threshold
from crack_lightning.models.decision import Decision, with_engine_margin

BINS = 15  # number of bins, of equal width as in Guo et al. 2017
TEMPERATURE_RANGE = (0.05, 20.0)  # searched for the best temperature


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Returns the temperature: logits (N, 2) divided by it have a calibrated softmax (Guo et al. 2017).

    Minimises the cross-entropy with targets smoothed as in Platt (1999): with unsmoothed targets, a validation set
    without errors would demand certainty.

    Raises ValueError when `labels` (N,) hold one class only.
    """
    counts = torch.bincount(labels, minlength=logits.shape[1])
    if (counts == 0).any():
        raise UserError(f"{len(labels)} images of one class: both classes are needed to calibrate")
    smoothed = ((counts + 1) / (counts + 2))[labels]  # target of the true class
    targets = torch.stack([1 - smoothed, smoothed], dim=1).double()
    true_class, other_class = logits.gather(1, labels[:, None]), logits.gather(1, 1 - labels[:, None])
    ordered = torch.cat([other_class, true_class], dim=1).double()  # (N, 2): first the other class, then the true one

    def loss(log_temperature: float) -> float:
        return functional.cross_entropy(ordered / math.exp(log_temperature), targets).item()

    return math.exp(_argmin(loss, *map(math.log, TEMPERATURE_RANGE)))


def _argmin(function: Callable[[float], float], low: float, high: float) -> float:
    """Returns the argument, to within 1e-6, for which a function with one minimum is lowest (golden-section search)."""
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
    """The agreement of probabilities with the truth, for each bin that holds images; each field is (bins,).

    `probability`: mean probability of the positive class.
    `share`: share of positive images.
    `count`: number of images.
    """

    probability: Tensor
    share: Tensor
    count: Tensor

    @property
    def error(self) -> float:
        """Returns the expected calibration error, 0..1: |probability - share| averaged over images; NaN without any."""
        if not self.count.sum():
            return math.nan
        return (((self.probability - self.share).abs() * self.count).sum() / self.count.sum()).item()


def reliability(probabilities: Tensor, targets: Tensor, *, bins: int = BINS) -> Reliability:
    """Compares probabilities (N,) of the positive class with `targets` (N,), 1 for positive, bin by bin."""
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
    """Returns the mean squared difference between probability and truth, 0..1; lower is better (Brier 1950)."""
    return ((probabilities - targets) ** 2).mean().item()


def operating_point(wanted: str | float, probabilities: Tensor, targets: Tensor) -> float:
    """Returns the threshold that `wanted` asks for: a number, `recall:0.99` or `precision:0.95`.

    Chooses the highest threshold that reaches the recall, or the lowest that reaches the precision, on `probabilities`
    (N,) of the positive class and `targets` (N,), 1 for positive.

    Raises ValueError when `wanted` is none of these three, or when no threshold reaches it.
    """
    metric, level = parse_threshold(wanted)
    if metric == "number":
        return level
    if not targets.any():
        raise UserError(f"threshold={wanted}: there is no positive image to choose it on")
    order = probabilities.argsort(descending=True)
    ranked, hits = probabilities[order], targets[order].cumsum(0)
    last = torch.cat([ranked[1:] != ranked[:-1], torch.tensor([True])])  # whether each is the last of equal ones
    predicted = torch.arange(1, len(ranked) + 1)
    reached = (hits / targets.sum() if metric == "recall" else hits / predicted) >= level
    indices = (reached & last).nonzero().flatten()
    if not len(indices):
        best = (hits / predicted)[last].max().item()
        raise UserError(
            f"threshold={wanted}: the highest {metric} that any threshold reaches on validation is {best:.3f}"
        )
    return ranked[indices[0] if metric == "recall" else indices[-1]].item()


@dataclass(frozen=True)
class ReviewBand:
    """The probabilities, from `low` to `high`, that need review.

    `share`: share of all images that need review.
    `error_rate`: share of the other images that are predicted wrongly.
    """

    low: float
    high: float
    share: float
    error_rate: float


def review_band(probabilities: Tensor, targets: Tensor, decision: Decision, *, error_rate: float) -> ReviewBand:
    """Returns the band with the fewest images that leaves at most `error_rate` of the images outside it wrong.

    Images, with `probabilities` (N,), enter the band in order of doubt: first those nearest to the threshold in
    log-odds. `decision` itself says which images are inside, so that the rate is the same for all its callers.
    """
    threshold = torch.logit(torch.tensor(decision.threshold, dtype=torch.float64), eps=1e-12)
    doubt = (torch.logit(probabilities.double(), eps=1e-12) - threshold).abs()
    wrong = decision.is_positive(probabilities) != (targets == 1)
    count = _min_review_count(doubt, wrong, error_rate)
    if count == 0:
        return ReviewBand(decision.threshold, decision.threshold, 0.0, _share(wrong))
    for width in doubt.sort().values[count - 1 :].unique():
        inside = probabilities[doubt <= width].double()
        low = min(inside.min().item(), torch.sigmoid(threshold - width).item())
        high = max(inside.max().item(), torch.sigmoid(threshold + width).item())
        limits = with_engine_margin(low, high)
        outside = ~replace(decision, review_band=limits).needs_review(probabilities)
        band = ReviewBand(*limits, _share(~outside), _share(wrong[outside]))
        if band.error_rate <= error_rate:
            break
    return band


def _min_review_count(doubt: Tensor, wrong: Tensor, error_rate: float) -> int:
    """Returns how many of the most doubtful images need review; a band around them may include further ones."""
    errors = wrong[doubt.argsort()].double()
    errors_left = torch.cat([errors.flip(0).cumsum(0).flip(0), torch.zeros(1)])  # after review of the first k
    images_left = torch.arange(len(errors), -1, -1).clamp(min=1)
    return int(((errors_left / images_left) <= error_rate).nonzero()[0])


def _share(chosen: Tensor) -> float:
    """Returns the share of `chosen` (N,) bool that is true; 0 if it is empty."""
    return chosen.double().mean().item() if len(chosen) else 0.0
