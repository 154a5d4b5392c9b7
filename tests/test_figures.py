from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from crack_lightning.models.decision import Decision
from crack_lightning.report.figures import confusion_matrix, learning_curves, precision_recall_figure, roc_figure
from crack_lightning.report.pictures import PredictedPicture, architecture_figure, prediction_grid

HALF = Decision(("sound", "cracked"), "cracked")
PROBABILITIES = torch.tensor([0.9, 0.8, 0.3, 0.6, 0.2, 0.1])
TARGETS = torch.tensor([1, 1, 1, 0, 0, 0])


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title]]


def test_the_confusion_matrix_counts_truth_against_prediction() -> None:
    figure = confusion_matrix(PROBABILITIES, TARGETS, HALF)
    assert texts(figure)[:4] == ["2\n66.67%", "1\n33.33%", "1\n33.33%", "2\n66.67%"]


def test_the_roc_marks_the_operating_point() -> None:
    (axes,) = roc_figure(PROBABILITIES, TARGETS, HALF).axes
    curve, _, point = axes.lines
    assert curve.get_label() == "AUROC 0.8889"
    assert point.get_xydata().tolist() == [pytest.approx([1 / 3, 2 / 3])]


def test_precision_and_recall_mark_the_operating_point() -> None:
    (axes,) = precision_recall_figure(PROBABILITIES, TARGETS, replace(HALF, threshold=0.7)).axes
    assert axes.lines[1].get_xydata().tolist() == [pytest.approx([2 / 3, 1.0])]


def test_curves_of_one_class_say_that_they_are_not_defined() -> None:
    for draw in (roc_figure, precision_recall_figure):
        figure = draw(PROBABILITIES, torch.ones(6, dtype=torch.long), HALF)
        assert "not defined: all images have one class" in texts(figure)


def test_the_learning_curves_mark_the_best_epoch() -> None:
    epochs = [{"epoch": k, "train/loss": 1.0, "val/loss": loss} for k, loss in enumerate([0.5, 0.2, 0.4])]
    loss, accuracy = learning_curves(epochs, best_epoch=2).axes
    assert loss.lines[1].get_ydata().tolist() == [0.5, 0.2, 0.4]
    assert list(loss.lines[2].get_xdata()) == [2, 2]
    assert np.isnan(accuracy.lines[0].get_ydata()).all()


def test_a_grid_colours_predictions_by_agreement_with_the_truth() -> None:
    image = Image.new("RGB", (8, 8))
    shown = [
        PredictedPicture(image, "Positive", "Positive", 0.987, "a $x_1$.jpg"),
        PredictedPicture(image, "Negative", "Positive", 0.6),
    ]
    right, wrong = prediction_grid(shown, title="t").axes
    assert right.get_title() == "Positive (98.7%)\ntruth: Positive"
    assert right.title.get_color() != wrong.title.get_color()
    assert len(prediction_grid([], title="none").axes) == 1


def test_the_architecture_lists_every_layer() -> None:
    rows = [("features.0", "Conv", "3 x 8 x 8", "4 x 4 x 4", "108"), ("head", "Linear", "4", "2", "10")]
    shown = texts(architecture_figure(rows, title="net", trainable=[False, True]))
    assert {"features.0", "3 x 8 x 8", "head", "10", "net"} <= set(shown)
