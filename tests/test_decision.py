"""One decision, in one number type, for everyone who asks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from crack_lightning.evaluation.calibration import operating_point, review_band
from crack_lightning.models.decision import Decision, decision_from

HALF = Decision(("sound", "cracked"), "cracked")


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (N,) of 32 bits, as a network gives them, and what is true."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(200, 2, generator=generator)
    probabilities = logits.softmax(dim=1)[:, 1]
    return probabilities, (torch.rand(200, generator=generator) < probabilities).long()


def test_a_band_holds_its_error_rate_on_its_own_images() -> None:
    for seed in range(400):
        probabilities, targets = drawn(seed)
        for rate in (0.0, 0.02):
            band = review_band(probabilities, targets, HALF, error_rate=rate)
            decision = replace(HALF, review_band=(band.low, band.high)) if band.share else HALF
            marked = decision.needs_review(probabilities)
            # Asked one by one, as rows of a table are written, or all at once: the same images.
            assert [decision.needs_review(each) for each in probabilities.tolist()] == marked.tolist()
            assert marked.sum().item() == round(band.share * len(marked))
            wrong = (decision.is_positive(probabilities).long() != targets)[~marked]
            assert wrong.double().mean().nan_to_num().item() <= rate, seed


def test_rounding_by_an_engine_keeps_an_image_in_the_band() -> None:
    for seed in range(50):
        probabilities, targets = drawn(seed)
        band = review_band(probabilities, targets, HALF, error_rate=0.02)
        decision = replace(HALF, review_band=(band.low, band.high))
        inside = probabilities[decision.needs_review(probabilities)]
        moved = torch.sigmoid(torch.logit(inside.double()) + 5e-5).float()
        least = inside.min() if inside.numel() else torch.tensor(1.0)
        assert decision.needs_review(moved[moved < inside.max()]).all()
        assert decision.needs_review(torch.sigmoid(torch.logit(least.double()) - 5e-5).float())


@pytest.mark.parametrize("wanted", ["recall:0.95", "precision:0.9"])
def test_the_image_that_defines_the_threshold_is_positive_for_everyone(wanted: str) -> None:
    for seed in range(100):
        probabilities, targets = drawn(seed)
        decision = replace(HALF, threshold=operating_point(wanted, probabilities, targets))
        defining = probabilities[(probabilities.double() - decision.threshold).abs().argmin()]
        assert decision.is_positive(defining)
        assert decision.is_positive(defining.item())
        assert decision.is_positive(defining.numpy()[None]).all()
        assert decision.predicted(defining.item()) == "cracked"
        assert (probabilities > decision.below_threshold).equal(decision.is_positive(probabilities))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 1 / 3, 0.999999999, 1.0, 1e-12])
def test_more_than_the_number_below_means_at_least_the_threshold(threshold: float) -> None:
    near = np.float32(threshold)
    values = torch.tensor([np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(2))])
    decision = replace(HALF, threshold=threshold)
    assert (values > decision.below_threshold).tolist() == [each >= threshold for each in values.tolist()]


def test_a_number_of_32_bits_is_compared_with_64() -> None:
    near = float(np.float32(0.3))
    decision = replace(HALF, threshold=near + 1e-10, review_band=(near + 1e-10, 0.9))
    assert not decision.is_positive(torch.tensor([near])).any()
    assert not decision.is_positive(np.array([near], np.float32)).any()
    assert not decision.needs_review(torch.tensor([near])).any()


def test_the_positive_class_may_stand_first() -> None:
    decision = Decision(("cracked", "sound"), "cracked", threshold=0.4, review_band=(0.3, 0.6))
    assert decision.positive_index == 0
    assert [decision.predicted(p) for p in (0.39, 0.4)] == ["sound", "cracked"]
    assert [bool(decision.needs_review(p)) for p in (0.29, 0.3, 0.6, 0.61)] == [False, True, True, False]
    assert decision_from(decision.facts()) == decision


NAN, INFINITE = float("nan"), float("inf")
WRONG: list[dict[str, Any]] = [
    *({"threshold": value} for value in (NAN, INFINITE, -1.0, 0.0, 1.1, True, "0.5", None)),
    *({"temperature": value} for value in (NAN, INFINITE, 0.0, -1.0, "1")),
    *({"review_band": value} for value in ((0.6, 0.4), (NAN, 0.5), (-0.1, 0.5), (0.5, 1.1), (0.5,), (0.1, 0.2, 0.3))),
    *({"class_names": value} for value in (("a", "a"), ("a",), ("a", ""), ("a", "b\n"), ("a", 1))),
    {"positive_class": "other"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_cannot_be_a_decision_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        replace(HALF, **wrong)
