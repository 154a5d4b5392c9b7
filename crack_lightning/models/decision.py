"""Decides from a probability which class is predicted and whether it needs review, for all callers.

Probabilities are computed with 32 bits and compared with 64. An image whose probability defines a bound is
therefore within it for every caller.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from torch import Tensor

from crack_lightning.errors import UserError

MAX_TEMPERATURE = 1e6
ENGINE_DIFFERENCE = 1e-4  # log-odds; engines' results for one image differ by less


@dataclass(frozen=True)
class Decision:
    """Two class names in the order of the logits, which of them is positive, and what their probabilities mean.

    `threshold`: the lowest probability at which the positive class is predicted; above 0, at most 1.
    `temperature`: logits are divided by it before the softmax; above 0 (Guo et al. 2017).
    `review_band`: the lowest and the highest probability that needs review; None if no probability does.

    Raises ValueError for a value out of range.
    """

    class_names: tuple[str, str]
    positive_class: str
    threshold: float = 0.5
    temperature: float = 1.0
    review_band: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        names = self.class_names
        if len(names) != 2 or not all(isinstance(name, str) and name and name.isprintable() for name in names):
            raise UserError(f"class_names={list(names)!r}: must be two names of printable text")
        if names[0] == names[1]:
            raise UserError(f"class_names={list(names)}: must be two different names")
        if self.positive_class not in names:
            raise UserError(f"positive_class={self.positive_class!r} is not one of class_names={list(names)}")
        if not (_is_number(self.threshold) and 0 < self.threshold <= 1):
            raise UserError(f"threshold={self.threshold}: must be above 0 and at most 1")
        if not (_is_number(self.temperature) and 0 < self.temperature <= MAX_TEMPERATURE):
            raise UserError(f"temperature={self.temperature}: must be above 0 and at most {MAX_TEMPERATURE:g}")
        band = self.review_band
        if band is not None and not (len(band) == 2 and all(map(_is_number, band)) and 0 <= band[0] <= band[1] <= 1):
            raise UserError(f"review_band={list(band)}: must be two probabilities, the lower one first, or None")

    @property
    def positive_index(self) -> int:
        """Returns the index of the positive class among the logits."""
        return self.class_names.index(self.positive_class)

    @property
    def negative_first(self) -> tuple[str, str]:
        """Returns the class names, the positive one last; a target, 0 or 1, is the index of its name."""
        first, second = sorted(self.class_names, key=lambda name: name == self.positive_class)
        return first, second

    @overload
    def is_positive(self, probability: Tensor) -> Tensor: ...
    @overload
    def is_positive(self, probability: np.ndarray) -> np.ndarray: ...
    @overload
    def is_positive(self, probability: float) -> bool: ...
    def is_positive(self, probability: Any) -> Any:
        """Returns whether the positive class is predicted, for one probability of it or for each of an array."""
        return _exact(probability) >= self.threshold

    @property
    def below_threshold(self) -> float:
        """Returns the highest 32-bit number below the threshold, for callers that compare with `>` instead of `>=`."""
        near = np.float32(self.threshold)
        return float(np.nextafter(near, np.float32(0))) if float(near) >= self.threshold else float(near)

    def predicted(self, probability: float) -> str:
        """Returns the name of the predicted class."""
        return self.negative_first[bool(self.is_positive(probability))]

    @overload
    def needs_review(self, probability: Tensor) -> Tensor: ...
    @overload
    def needs_review(self, probability: np.ndarray) -> np.ndarray: ...
    @overload
    def needs_review(self, probability: float) -> bool: ...
    def needs_review(self, probability: Any) -> Any:
        """Returns whether review is needed, for one probability or for each of an array of any shape."""
        low, high = self.review_band or (2.0, 2.0)  # which no probability reaches
        exact = _exact(probability)
        return (exact >= low) & (exact <= high)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits (N, 2) to calibrated probabilities (N, 2)."""
        return (logits.float() / self.temperature).softmax(dim=1)

    def positive_probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits (N, 2) to calibrated probabilities of the positive class (N,)."""
        return self.probabilities(logits)[:, self.positive_index]

    def facts(self) -> dict[str, Any]:
        """Returns the fields as plain values, for a checkpoint."""
        return {
            "class_names": list(self.class_names),
            "positive_class": self.positive_class,
            "threshold": self.threshold,
            "temperature": self.temperature,
            "review_band": None if self.review_band is None else list(self.review_band),
        }


def decision_from(facts: Mapping[str, Any]) -> Decision:
    """Builds a decision from what `Decision.facts` returned. Raises ValueError or TypeError for invalid values."""
    band, names = facts["review_band"], facts["class_names"]
    if not isinstance(names, list | tuple) or not isinstance(band, list | tuple | None):
        raise TypeError("class_names and review_band must be lists")
    return Decision(
        class_names=tuple(names),
        positive_class=facts["positive_class"],
        threshold=facts["threshold"],
        temperature=facts["temperature"],
        review_band=None if band is None else tuple(band),
    )


def with_engine_margin(low: float, high: float) -> tuple[float, float]:
    """Widens an interval of probabilities by ENGINE_DIFFERENCE on either side."""

    def shifted(probability: float, shift: float) -> float:
        log_odds = math.log(max(probability, 1e-300)) - math.log1p(-min(probability, 1 - 1e-16))
        return 1 / (1 + math.exp(min(700.0, -(log_odds + shift))))

    return max(0.0, min(low, shifted(low, -ENGINE_DIFFERENCE))), min(1.0, max(high, shifted(high, ENGINE_DIFFERENCE)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _exact(probability: Any) -> Any:
    """Returns the probability as a 64-bit number."""
    if isinstance(probability, Tensor):
        return probability.double()
    return np.asarray(probability, np.float64) if isinstance(probability, np.ndarray) else float(probability)
