"""The files that a command leaves in its run folder."""

import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from crack_lightning.data.images.reading import read_image
from crack_lightning.data.samples.listing import Sample
from crack_lightning.evaluation.calibration import brier_score, reliability, uncalibrated
from crack_lightning.evaluation.intervals import bootstrap_intervals, figures_of
from crack_lightning.models.architecture import layers
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.decision import Decision
from crack_lightning.report.figures import (
    confusion_matrix,
    learning_curves,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from crack_lightning.report.pictures import Prediction, architecture_figure, prediction_grid
from crack_lightning.system.files import write_atomically, write_csv

log = logging.getLogger(__name__)

SHOWN = 16  # pictures in a grid


@dataclass(frozen=True)
class Judged:
    """Samples with the probability of the positive class (N,) that a classifier gives each."""

    classifier: CrackClassifier
    samples: Sequence[Sample]
    probabilities: Tensor

    @property
    def decision(self) -> Decision:
        """What the probabilities come to."""
        return self.classifier.decision

    @property
    def targets(self) -> Tensor:
        """(N,), 1 for positive."""
        positive = self.decision.positive_index
        return torch.tensor([int(sample.label == positive) for sample in self.samples])

    @property
    def predicted(self) -> Tensor:
        """(N,), 1 for what is predicted positive."""
        return self.decision.is_positive(self.probabilities).long()


def confidence_metrics(judged: Judged, *, seed: int) -> dict[str, float]:
    """test/ece, test/brier and test/balanced_accuracy, and <name>_low and <name>_high of every figure: where 95 % of
    bootstrap draws lie. With a review band its share of the test, and the share of the rest that is predicted wrongly.
    """
    groups = [sample.group for sample in judged.samples]
    probabilities, targets, decision = judged.probabilities, judged.targets, judged.decision
    found = {
        "test/ece": reliability(probabilities, targets).error,
        "test/ece_uncalibrated": reliability(uncalibrated(probabilities, decision.temperature), targets).error,
        "test/brier": brier_score(probabilities, targets),
        "test/balanced_accuracy": figures_of(probabilities, targets, decision)["balanced_accuracy"],
    }
    if decision.review_band is not None:
        band = decision.needs_review(probabilities)
        wrong = (judged.predicted != judged.targets)[~band].float()
        found |= {
            "review/test_share": band.float().mean().item(),
            "review/test_error_rate": wrong.mean().item() if len(wrong) else 0.0,
        }
    intervals = bootstrap_intervals(probabilities, targets, groups, decision, seed=seed)
    for name, (low, high) in intervals.items():
        found |= {f"test/{name}_low": low, f"test/{name}_high": high}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """metrics.json: flat, numbers only."""
    write_atomically(folder / "metrics.json", (json.dumps(metrics, indent=2, sort_keys=True) + "\n").encode())


def write_unreadable(folder: Path, unreadable: Mapping[Path, str]) -> None:
    """unreadable.csv, if there is anything to list."""
    if unreadable:
        write_csv(folder / "unreadable.csv", ["path", "reason"], list(unreadable.items()))


def write_predictions(folder: Path, judged: Judged) -> None:
    """predictions.csv: a row a sample, the probability of the positive class, and 1 where a person should look."""
    decision, names = judged.decision, judged.decision.negative_first
    rows = [
        [
            sample.path,
            names[target],
            decision.predicted(probability),
            f"{probability:.6f}",
            int(decision.needs_review(probability)),
        ]
        for sample, target, probability in zip(
            judged.samples, judged.targets.tolist(), judged.probabilities.tolist(), strict=True
        )
    ]
    write_csv(folder / "predictions.csv", ["path", "label", "predicted", "probability", "review"], rows)


def judgement_figures(judged: Judged, metrics: Mapping[str, float]) -> dict[str, Figure]:
    """The figures of a test, by file name; `metrics` as metrics.json has them."""
    intervals = {
        name.removeprefix("test/").removesuffix("_low"): (low, metrics[name.removesuffix("_low") + "_high"])
        for name, low in metrics.items()
        if name.startswith("test/") and name.endswith("_low")
    }
    facts = judged.probabilities, judged.targets, judged.decision
    shown = _predictions(judged, _spread(len(judged.samples)))
    return {
        "confusion_matrix": confusion_matrix(*facts, intervals=intervals),
        "roc": roc_figure(*facts, intervals=intervals),
        "precision_recall": precision_recall_figure(*facts, intervals=intervals),
        "reliability": reliability_figure(*facts[:2], temperature=judged.decision.temperature),
        "predictions": prediction_grid(shown, title="Predictions beside truth"),
        "worst_errors": _worst_errors(judged),
    }


def training_figures(
    classifier: CrackClassifier, epochs: Sequence[Mapping[str, float]], *, best_epoch: int
) -> dict[str, Figure]:
    """The figures of a training run, by file name."""
    rows = [
        (layer.name, layer.kind, _shape(layer.shape_in), _shape(layer.shape_out), f"{layer.parameters:,}")
        for layer in layers(classifier)
    ]
    title = f"{classifier.backbone}, {classifier.image_size}x{classifier.image_size} px"
    trainable = [layer.trainable for layer in layers(classifier)]
    return {
        "learning_curves": learning_curves(epochs, best_epoch=best_epoch),
        "architecture": architecture_figure(rows, title=title, trainable=trainable),
    }


def drawn(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Each figure as a PNG file, by name."""
    pictures = {}
    for name, figure in figures.items():
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=120, pil_kwargs={"compress_level": 3})
        pictures[name] = picture.getvalue()
    return pictures


def write_figures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """figures/<name>.png."""
    for name, picture in pictures.items():
        write_atomically(folder / "figures" / f"{name}.png", picture)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _spread(count: int) -> list[int]:
    """At most SHOWN places, evenly over the samples, which stand class by class."""
    return torch.linspace(0, count - 1, min(SHOWN, count)).long().tolist() if count else []


def _worst_errors(judged: Judged) -> Figure:
    """The errors the classifier was surest of; where there are none, the right answers it was least sure of."""
    errors = judged.predicted != judged.targets
    doubt = (judged.probabilities - judged.targets).abs()
    ranked = doubt.argsort(descending=True, stable=True).tolist()
    if not errors.any():
        title = f"No errors in {len(ranked)} images; the least certain answers"
        return prediction_grid(_predictions(judged, ranked[:SHOWN]), title=title)
    wrong = [k for k in ranked if errors[k]]
    noun = "error" if len(wrong) == 1 else "errors"
    title = f"{len(wrong)} {noun} in {len(ranked)} images, the surest first"
    return prediction_grid(_predictions(judged, wrong[:SHOWN]), title=title)


def _predictions(judged: Judged, places: Sequence[int]) -> list[Prediction]:
    shown = []
    for k in places:
        sample, predicted = judged.samples[k], int(judged.predicted[k])
        positive = judged.probabilities[k].item()
        shown.append(
            Prediction(
                image=_image(sample.path),
                truth=judged.decision.negative_first[int(judged.targets[k])],
                predicted=judged.decision.predicted(positive),
                confidence=positive if predicted else 1 - positive,
                name=f"{sample.path.parent.name}/{sample.path.name}",
            )
        )
    return shown


def _image(path: Path) -> Image.Image:
    """The picture, grey where it can no longer be read: that must not cost the run its figures."""
    try:
        return read_image(path, megapixels=math.inf)
    except ValueError as error:
        log.warning("not shown in the figures: %s", error)
        return Image.new("RGB", (64, 64), "grey")
