import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_backbones import classifier
from test_calibration import drawn

from crack_lightning.models.checkpoint import load_classifier
from crack_lightning.training.confidence import set_confidence

Train = Callable[..., Path]


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


def test_temperature_threshold_and_band_are_kept_in_the_checkpoint_and_applied(trained: Train) -> None:
    run = trained("threshold=recall:1", "review_band=0.0")
    model, found = load_classifier(run / "checkpoints/best.ckpt"), metrics(run)
    assert (model.temperature, model.threshold) == (found["temperature"], found["threshold"])
    assert model.review_band == [found["review/low"], found["review/high"]]
    assert found["val/recall"] <= 1
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    logits = model(pictures)
    assert torch.allclose(model.predict_proba(pictures), (logits / model.temperature).softmax(1))


def test_without_calibration_the_temperature_is_one(trained: Train) -> None:
    found = metrics(trained("calibrate=false"))
    assert found["temperature"] == 1
    assert found["val/ece"] == found["val/ece_uncalibrated"]


def test_a_recall_that_is_asked_for_is_met_on_validation() -> None:
    model = classifier("mobilenet_v2")
    logits, labels = drawn(2000)
    found = set_confidence(model, 3 * logits, labels, calibrate=True, threshold="recall:0.95", review_error_rate=0.02)
    probability = model.probabilities(3 * logits)[:, 1]
    called = probability >= model.threshold
    assert called[labels == 1].float().mean() >= 0.95
    assert found["val/ece"] < found["val/ece_uncalibrated"] / 2
    low, high = model.review_band or (0, 0)
    rest = (probability < low) | (probability > high)
    assert (called.long() != labels)[rest].float().mean() <= 0.02
    assert found["review/val_share"] == pytest.approx(1 - rest.float().mean().item(), abs=1e-6)


def test_balanced_weights_find_more_of_the_rarer_class(trained: Train) -> None:
    plain, weighted = (
        metrics(trained("data.fractions=[0.5,0.25,0.25]", f"task.class_weights={rule}", run=str(rule)))
        for rule in ("null", "balanced")
    )
    # The small surfaces are balanced: then the weights are one and change nothing.
    assert weighted["train/loss"] == pytest.approx(plain["train/loss"], abs=1e-6)


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("threshold=recall:2", "threshold=recall:2: a number above 0"),
        ("threshold=often", "threshold=often: a number above 0"),
        ("review_band=1", "review_band=1"),
        ("task.class_weights=heavy", "task.class_weights=heavy: balanced or null"),
    ],
)
def test_options_out_of_range_are_refused(trained: Train, override: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        trained(override)
