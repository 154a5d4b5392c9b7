"""How far a probability can be trusted, when a crack is predicted, and what needs review."""

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
    """What to divide logits (N, 2) by, so that their softmax is as sure as it is right (Guo et al. 2017).

    Minimises the cross-entropy with targets as Platt (1999) smooths them: without, a validation set in which nothing is
    wrong would ask for certainty.

    Raises ValueError when `labels` (N,) hold one class only.
    """
    counts = torch.bincount(labels, minlength=logits.shape[1])
    if (counts == 0).any():
        raise UserError(f"{len(labels)} images of one class cannot say how sure to be: both are needed to calibrate")
    smooth = (counts + 1) / (counts + 2)  # of the true class
    targets = torch.stack([1 - smooth[labels], smooth[labels]], dim=1).double()
    own, other = logits.gather(1, labels[:, None]), logits.gather(1, 1 - labels[:, None])
    ordered = torch.cat([other, own], dim=1).double()  # (N, 2): the other class, the true class

    def loss(log_temperature: float) -> float:
        return functional.cross_entropy(ordered / math.exp(log_temperature), targets).item()

    return math.exp(_lowest(loss, *map(math.log, TEMPERATURES)))


def _lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one valley is lowest, by golden sections, to 1e-6."""
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
    """A row a bin that holds anything: mean probability, share of positives, number of images, each (bins,)."""

    probability: Tensor
    share: Tensor
    count: Tensor

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: the mean distance of probability and share, by images."""
        if not self.count.sum():
            return math.nan
        return (((self.probability - self.share).abs() * self.count).sum() / self.count.sum()).item()


def reliability(probabilities: Tensor, targets: Tensor, *, bins: int = BINS) -> Reliability:
    """Probabilities (N,) of the positive class against what came true, `targets` (N,), 1 for positive."""
    place = (probabilities * bins).long().clamp(0, bins - 1)
    count = torch.bincount(place, minlength=bins)
    there = count > 0
    mean = torch.bincount(place, probabilities.double(), bins)[there] / count[there]
    share = torch.bincount(place, targets.double(), bins)[there] / count[there]
    return Reliability(mean, share, count[there])


def uncalibrated(probabilities: Tensor, temperature: float) -> Tensor:
    """What probabilities (N,) were before their logits were divided by `temperature`."""
    return torch.sigmoid(torch.logit(probabilities.double(), eps=1e-12) * temperature)


def brier_score(probabilities: Tensor, targets: Tensor) -> float:
    """Mean squared distance of probability and truth, 0 to 1, lower is better (Brier 1950)."""
    return ((probabilities - targets) ** 2).mean().item()


def operating_point(wanted: str | float, probabilities: Tensor, targets: Tensor) -> float:
    """The threshold that `wanted` asks for: a number, `recall:0.99` or `precision:0.95`.

    For a recall the highest threshold that reaches it, for a precision the lowest, on `probabilities` (N,) of the
    positive class and `targets` (N,), 1 for positive.

    Raises ValueError when it is none of these, or when no threshold reaches it.
    """
    kind, level = parse_threshold(wanted)
    if kind == "number":
        return level
    if not targets.any():
        raise UserError(f"threshold={wanted}: there is no positive image to choose it on")
    order = probabilities.argsort(descending=True)
    ranked, hits = probabilities[order], targets[order].cumsum(0)
    last = torch.cat([ranked[1:] != ranked[:-1], torch.tensor([True])])  # of equal probabilities
    called = torch.arange(1, len(ranked) + 1)
    reached = (hits / targets.sum() if kind == "recall" else hits / called) >= level
    places = (reached & last).nonzero().flatten()
    if not len(places):
        best = (hits / called)[last].max().item()
        raise UserError(
            f"threshold={wanted}: the highest {kind} that any threshold reaches on validation is {best:.3f}"
        )
    return ranked[places[0] if kind == "recall" else places[-1]].item()


@dataclass(frozen=True)
class ReviewBand:
    """Probabilities from `low` to `high` need review: `share` of all images; `error_rate` of the rest is wrong."""

    low: float
    high: float
    share: float
    error_rate: float


def review_band(probabilities: Tensor, targets: Tensor, decision: Decision, *, error_rate: float) -> ReviewBand:
    """The band in which the fewest images need review, so that at most `error_rate` of the rest is wrong.

    Images of `probabilities` (N,) are sent in the order of their doubt, the distance of their log-odds from those of
    the threshold. What the band takes is counted by `decision` itself, so that the rate holds for whoever asks it.
    """
    threshold = torch.logit(torch.tensor(decision.threshold, dtype=torch.float64), eps=1e-12)
    doubt = (torch.logit(probabilities.double(), eps=1e-12) - threshold).abs()
    wrong = decision.is_positive(probabilities) != (targets == 1)
    least = _fewest(doubt, wrong, error_rate)
    if least == 0:
        return ReviewBand(decision.threshold, decision.threshold, 0.0, _share(wrong))
    for width in doubt.sort().values[least - 1 :].unique():
        inside = probabilities[doubt <= width].double()
        low = min(inside.min().item(), torch.sigmoid(threshold - width).item())
        high = max(inside.max().item(), torch.sigmoid(threshold + width).item())
        wide = widened(low, high)
        outside = ~replace(decision, review_band=wide).needs_review(probabilities)
        band = ReviewBand(*wide, _share(~outside), _share(wrong[outside]))
        if band.error_rate <= error_rate:
            break
    return band


def _fewest(doubt: Tensor, wrong: Tensor, error_rate: float) -> int:
    """How many of the most doubtful images it takes, were each looked at alone."""
    errors = wrong[doubt.argsort()].double()
    left = torch.cat([errors.flip(0).cumsum(0).flip(0), torch.zeros(1)])  # when the first k are looked at
    rest = torch.arange(len(errors), -1, -1).clamp(min=1)
    return int(((left / rest) <= error_rate).nonzero()[0])


def _share(chosen: Tensor) -> float:
    return chosen.double().mean().item() if len(chosen) else 0.0
