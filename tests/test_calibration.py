import math

import numpy as np
import pytest
import torch
from conftest import drawn
from torchmetrics.functional.classification import binary_auroc, binary_average_precision, binary_calibration_error

from crack_lightning.evaluation.calibration import (
    brier_score,
    fit_temperature,
    operating_point,
    reliability,
    review_band,
)
from crack_lightning.evaluation.intervals import bootstrap_intervals, weighted_figures
from crack_lightning.models.decision import Decision

HALF = Decision(("sound", "cracked"), "cracked")
P = torch.tensor([0.1, 0.3, 0.3, 0.6, 0.8, 0.9])
T = torch.tensor([0, 0, 1, 1, 0, 1])


@pytest.mark.parametrize("sureness", [0.5, 1.0, 4.0])
def test_the_temperature_takes_back_what_made_logits_too_sure(sureness: float) -> None:
    logits, labels = drawn(20_000)
    assert fit_temperature(logits * sureness, labels) == pytest.approx(sureness, rel=0.05)


def test_temperature_gives_no_certainty_where_nothing_is_wrong() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0]]).repeat(20, 1)
    labels = torch.tensor([0, 1]).repeat(20)
    calibrated = (logits / fit_temperature(logits, labels)).softmax(1).max()
    assert calibrated == pytest.approx(21 / 22, abs=1e-3)


def test_one_class_cannot_be_calibrated_on() -> None:
    with pytest.raises(ValueError, match="3 images of one class"):
        fit_temperature(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long))


def test_the_calibration_error_is_that_of_torchmetrics() -> None:
    logits, labels = drawn(500)
    probabilities = logits.softmax(1)[:, 1].contiguous()
    expected = binary_calibration_error(probabilities, labels, n_bins=15).item()
    assert reliability(probabilities, labels).error == pytest.approx(expected, abs=1e-6)


def test_the_brier_score_is_the_mean_square() -> None:
    assert brier_score(torch.tensor([1.0, 0.5]), torch.tensor([1, 0])) == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("wanted", "threshold"),
    [(0.7, 0.7), ("0.7", 0.7), ("recall:0.6", 0.6), ("recall:1", 0.3), ("precision:0.66", 0.6), ("precision:1", 0.9)],
)
def test_the_operating_point_is_the_one_counted_by_hand(wanted: str | float, threshold: float) -> None:
    assert operating_point(wanted, P, T) == pytest.approx(threshold)


@pytest.mark.parametrize("wanted", ["recall", "recall:2", "f1:0.9", "0", "-1", "often"])
def test_an_operating_point_that_cannot_be_is_refused(wanted: str) -> None:
    with pytest.raises(ValueError, match=f"threshold={wanted}: must be a number above 0"):
        operating_point(wanted, P, T)


def test_an_unreachable_precision_is_reported_with_the_highest_one() -> None:
    with pytest.raises(ValueError, match=r"precision:0.9: the highest precision .* is 0.500"):
        operating_point("precision:0.9", torch.tensor([0.2, 0.8]), torch.tensor([1, 0]))


def test_a_recall_without_cracks_is_reported() -> None:
    with pytest.raises(ValueError, match="no positive image"):
        operating_point("recall:0.9", P, torch.zeros(6))


def test_doubtful_images_need_review_until_the_rest_is_right() -> None:
    band = review_band(P, T, HALF, error_rate=0.0)
    assert band.low < 0.3
    assert band.high > 0.8
    assert band.error_rate == 0
    assert band.share == pytest.approx(4 / 6)  # all but 0.1 and 0.9


def test_where_few_enough_are_wrong_nothing_needs_review() -> None:
    band = review_band(P, T, HALF, error_rate=0.5)
    assert (band.share, band.error_rate) == (0, pytest.approx(2 / 6))


def test_where_all_are_wrong_everything_needs_review() -> None:
    assert review_band(torch.tensor([0.9, 0.1]), torch.tensor([0, 1]), HALF, error_rate=0.1).share == 1


def test_figures_of_equal_weights_are_those_of_torchmetrics() -> None:
    found = weighted_figures(np.ones((1, 6)), P.double().numpy(), T.numpy(), positive=P.numpy() >= 0.5)
    expected = {
        "accuracy": 4 / 6,
        "balanced_accuracy": (2 / 3 + 2 / 3) / 2,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "auroc": binary_auroc(P, T).item(),
        "average_precision": binary_average_precision(P, T).item(),
        "ece": binary_calibration_error(P, T, n_bins=15).item(),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, abs=1e-6)


def test_a_weight_of_two_is_the_image_twice() -> None:
    weights = np.array([[1, 0, 2, 1, 3, 1]])
    once = weighted_figures(weights.astype(float), P.double().numpy(), T.numpy(), positive=P.numpy() >= 0.5)
    p, t = np.repeat(P.double().numpy(), weights[0]), np.repeat(T.numpy(), weights[0])
    twice = weighted_figures(np.ones((1, len(p))), p, t, positive=p >= 0.5)
    for name, value in once.items():
        assert value.item() == pytest.approx(twice[name].item()), name


def test_the_interval_of_a_share_matches_the_binomial_one() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.ones(400, dtype=torch.long)
    probabilities = (torch.rand(400, generator=generator) < 0.9).float()
    share = probabilities.mean().item()
    low, high = bootstrap_intervals(probabilities, targets, [str(k) for k in range(400)], HALF)["recall"]
    wide = 1.96 * math.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - wide, share + wide), abs=0.008)


def test_images_of_one_group_come_and_go_together() -> None:
    probabilities, targets = P.repeat(50), T.repeat(50)
    alone = bootstrap_intervals(probabilities, targets, [str(k) for k in range(300)], HALF)["accuracy"]
    grouped = bootstrap_intervals(probabilities, targets, [str(k % 6) for k in range(300)], HALF)["accuracy"]
    assert grouped[1] - grouped[0] > 3 * (alone[1] - alone[0])


def test_a_figure_that_is_not_defined_has_no_interval() -> None:
    found = bootstrap_intervals(P, torch.zeros(6, dtype=torch.long), list("abcdef"), HALF)
    assert math.isnan(found["recall"][0])
    assert found["accuracy"][1] <= 1
