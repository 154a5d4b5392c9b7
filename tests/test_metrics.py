import pytest
import torch

from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.models.decision import Decision


def decided(threshold: float) -> Decision:
    return Decision(("sound", "cracked"), "cracked", threshold=threshold)


def test_the_figures_are_those_counted_by_hand() -> None:
    # Two of three cracks found, one false alarm among three sound.
    probabilities = torch.tensor([0.9, 0.8, 0.3, 0.6, 0.2, 0.1])
    targets = torch.tensor([1, 1, 1, 0, 0, 0])
    found = {name: value.item() for name, value in binary_metrics(decided(0.5))(probabilities, targets).items()}
    assert found == pytest.approx(
        {
            "accuracy": 4 / 6,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "f1": 2 / 3,
            "auroc": 8 / 9,  # of nine pairs, only (0.3, 0.6) is the wrong way round
            "average_precision": (1 + 1 + 3 / 4) / 3,
        }
    )


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.999])
def test_what_equals_the_threshold_is_predicted_positive(threshold: float) -> None:
    probabilities = torch.tensor([threshold, threshold - 1e-6])
    assert binary_metrics(decided(threshold))(probabilities, torch.tensor([1, 0]))["accuracy"] == 1
