"""Draws the figures of a test and of a training run."""

import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image

from crack_lightning.data.images.reading import read_image
from crack_lightning.evaluation.predictions import JudgedSamples
from crack_lightning.models.architecture import layers
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.report.figures import (
    confusion_matrix,
    learning_curves,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from crack_lightning.report.pictures import PredictedPicture, architecture_figure, prediction_grid

log = logging.getLogger(__name__)

GRID_PICTURES = 16  # most pictures in a grid


def evaluation_figures(judged: JudgedSamples, metrics: Mapping[str, float]) -> dict[str, Figure]:
    """Returns the figures of a test, by file name. `metrics` has the content of metrics.json."""
    intervals = {
        name.removeprefix("test/").removesuffix("_low"): (low, metrics[name.removesuffix("_low") + "_high"])
        for name, low in metrics.items()
        if name.startswith("test/") and name.endswith("_low")
    }
    facts = judged.probabilities, judged.targets, judged.decision
    examples = _predicted_pictures(judged, _spread_indices(len(judged.samples)))
    return {
        "confusion_matrix": confusion_matrix(*facts, intervals=intervals),
        "roc": roc_figure(*facts, intervals=intervals),
        "precision_recall": precision_recall_figure(*facts, intervals=intervals),
        "reliability": reliability_figure(*facts[:2], temperature=judged.decision.temperature),
        "predictions": prediction_grid(examples, title="Predictions beside truth"),
        "worst_errors": _worst_errors(judged),
    }


def training_figures(
    classifier: CrackClassifier, epochs: Sequence[Mapping[str, float]], *, best_epoch: int
) -> dict[str, Figure]:
    """Returns the figures of a training run, by file name."""
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


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _spread_indices(count: int) -> list[int]:
    """Returns at most GRID_PICTURES indices, spread evenly over all samples, which are sorted by class."""
    return torch.linspace(0, count - 1, min(GRID_PICTURES, count)).long().tolist() if count else []


def _worst_errors(judged: JudgedSamples) -> Figure:
    """Draws the errors that the classifier was surest of or, without errors, the right answers it was least sure of."""
    errors = judged.predicted != judged.targets
    doubt = (judged.probabilities - judged.targets).abs()
    ranked = doubt.argsort(descending=True, stable=True).tolist()
    if not errors.any():
        title = f"No errors in {len(ranked)} images; the least certain answers"
        return prediction_grid(_predicted_pictures(judged, ranked[:GRID_PICTURES]), title=title)
    wrong = [k for k in ranked if errors[k]]
    noun = "error" if len(wrong) == 1 else "errors"
    title = f"{len(wrong)} {noun} in {len(ranked)} images, the surest first"
    return prediction_grid(_predicted_pictures(judged, wrong[:GRID_PICTURES]), title=title)


def _predicted_pictures(judged: JudgedSamples, indices: Sequence[int]) -> list[PredictedPicture]:
    predictions = []
    for k in indices:
        sample, predicted = judged.samples[k], int(judged.predicted[k])
        positive = judged.probabilities[k].item()
        predictions.append(
            PredictedPicture(
                image=_image(sample.path),
                truth=judged.decision.negative_first[int(judged.targets[k])],
                predicted=judged.decision.predicted(positive),
                confidence=positive if predicted else 1 - positive,
                name=f"{sample.path.parent.name}/{sample.path.name}",
            )
        )
    return predictions


def _image(path: Path) -> Image.Image:
    """Returns the picture, or a grey one if it can no longer be read, so that the run still gets its figures."""
    try:
        return read_image(path, megapixels=math.inf)
    except ValueError as error:
        log.warning("not shown in the figures: %s", error)
        return Image.new("RGB", (64, 64), "grey")


def png_bytes(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Returns each figure as the bytes of a PNG file, by name."""
    pictures = {}
    for name, figure in figures.items():
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=120, pil_kwargs={"compress_level": 3})
        pictures[name] = picture.getvalue()
    return pictures
