import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import classifier, drawn
from torch.nn import functional

from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.training.confidence import set_confidence
from crack_lightning.training.options import OptimizerOptions
from crack_lightning.training.task import CrackTask

Train = Callable[..., Path]


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


def test_the_checkpoint_keeps_and_applies_temperature_threshold_and_band(trained: Train) -> None:
    run = trained("threshold=recall:1", "review_band=0.0")
    model, found = load_network(run / "checkpoints/best.ckpt"), metrics(run)
    decision = model.decision
    assert (decision.temperature, decision.threshold) == (found["temperature"], found["threshold"])
    assert decision.review_band == (found["review/low"], found["review/high"])
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    logits = model(pictures)
    assert torch.allclose(model.predict_proba(pictures), (logits / decision.temperature).softmax(1))


def test_without_calibration_the_temperature_is_one(trained: Train) -> None:
    found = metrics(trained("calibrate=false"))
    assert found["temperature"] == 1
    assert found["val/ece"] == found["val/ece_uncalibrated"]


def test_a_recall_that_is_asked_for_is_met_on_validation() -> None:
    model = classifier("mobilenet_v2")
    logits, labels = drawn(2000)
    found = set_confidence(model, 3 * logits, labels, calibrate=True, threshold="recall:0.95", review_error_rate=0.02)
    probability = model.probabilities(3 * logits)[:, 1]
    called = probability >= model.decision.threshold
    assert called[labels == 1].float().mean() >= 0.95
    assert found["val/ece"] < found["val/ece_uncalibrated"] / 2
    low, high = model.decision.review_band or (0, 0)
    rest = (probability < low) | (probability > high)
    assert (called.long() != labels)[rest].float().mean() <= 0.02
    assert found["review/val_share"] == pytest.approx(1 - rest.float().mean().item(), abs=1e-6)


def test_class_weights_weigh_training_and_not_the_test() -> None:
    model = classifier("mobilenet_v2")
    task = CrackTask(model, optimizer=OptimizerOptions("Adam", 1e-3, None, 0.0, {}), class_weights=[1.0, 3.0])
    batch = torch.randn(4, 1280), torch.tensor([0, 0, 0, 1])
    task.classifier.dropout.p = 0.0
    logits = task.logits(batch[0])
    weighted, plain = (functional.cross_entropy(logits, batch[1], w) for w in (torch.tensor([1.0, 3.0]), None))
    assert task.train()._loss_and_probabilities(batch)[0].item() == pytest.approx(weighted.item())
    assert task.eval()._loss_and_probabilities(batch)[0].item() == pytest.approx(plain.item())
    assert weighted.item() != pytest.approx(plain.item())


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("threshold=recall:2", "threshold=recall:2: must be a number above 0"),
        ("threshold=often", "threshold=often: must be a number above 0"),
        ("review_band=1", "review_band=1"),
        ("task.class_weights=heavy", "task.class_weights=heavy: must be one of balanced"),
    ],
)
def test_options_out_of_range_are_refused(trained: Train, override: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        trained(override)
