"""Predictions for samples whose true class is known, and their metrics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crack_lightning.data.samples.listing import Sample
from crack_lightning.evaluation.calibration import brier_score, reliability, uncalibrated
from crack_lightning.evaluation.intervals import bootstrap_intervals, figures_of
from crack_lightning.models.crack_map import Network
from crack_lightning.models.decision import Decision


@dataclass(frozen=True)
class JudgedSamples:
    """Samples with the probability (N,) of the positive class that a network predicts for each."""

    network: Network
    samples: Sequence[Sample]
    probabilities: Tensor

    @property
    def decision(self) -> Decision:
        """Returns the decision of the network."""
        return self.network.decision

    @property
    def targets(self) -> Tensor:
        """Returns the true classes (N,), 1 for positive."""
        positive = self.decision.positive_index
        return torch.tensor([int(sample.label == positive) for sample in self.samples])

    @property
    def predicted(self) -> Tensor:
        """Returns the predicted classes (N,), 1 for positive."""
        return self.decision.is_positive(self.probabilities).long()


def confidence_metrics(judged: JudgedSamples, *, seed: int) -> dict[str, float]:
    """Returns metrics of how far the predictions of a test can be trusted; undefined ones are left out.

    These are test/ece, test/ece_uncalibrated, test/brier and test/balanced_accuracy, and for every metric of the test
    <name>_low and <name>_high, between which are 95 % of the bootstrap draws. A decision with a review band adds
    review/test_share, the share of images inside it, and review/test_error_rate, the share of the others that is wrong.
    """
    groups = [sample.group for sample in judged.samples]
    probabilities, targets, decision = judged.probabilities, judged.targets, judged.decision
    metrics = {
        "test/ece": reliability(probabilities, targets).error,
        "test/ece_uncalibrated": reliability(uncalibrated(probabilities, decision.temperature), targets).error,
        "test/brier": brier_score(probabilities, targets),
        "test/balanced_accuracy": figures_of(probabilities, targets, decision)["balanced_accuracy"],
    }
    if decision.review_band is not None:
        reviewed = decision.needs_review(probabilities)
        wrong = (judged.predicted != judged.targets)[~reviewed].float()
        metrics |= {
            "review/test_share": reviewed.float().mean().item(),
            "review/test_error_rate": wrong.mean().item() if len(wrong) else 0.0,
        }
    intervals = bootstrap_intervals(probabilities, targets, groups, decision, seed=seed)
    for name, (low, high) in intervals.items():
        metrics |= {f"test/{name}_low": low, f"test/{name}_high": high}
    return {name: value for name, value in metrics.items() if not math.isnan(value)}
