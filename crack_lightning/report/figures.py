"""Draws curves and matrices as matplotlib figures."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_confusion_matrix,
    binary_precision_recall_curve,
    binary_roc,
)

from crack_lightning.evaluation.calibration import reliability, uncalibrated
from crack_lightning.models.decision import Decision
from crack_lightning.system.names import shown_in_figures

Intervals = Mapping[str, tuple[float, float]]  # low and high bound of each metric, by its name

BLUE, ORANGE, GREY = "#1f5fa8", "#d9822b", "#8a8f98"


def learning_curves(epochs: Sequence[Mapping[str, float]], *, best_epoch: int) -> Figure:
    """Draws loss and accuracy of training and validation over the epochs; marks `best_epoch`, counted from 1."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    x = [row["epoch"] + 1 for row in epochs]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, colour in (("train", BLUE), ("val", ORANGE)):
            y = [row.get(f"{split}/{name}", float("nan")) for row in epochs]
            axes.plot(
                x,
                y,
                "o-",
                color=colour,
                markersize=4,
                label={"train": "training", "val": "validation"}[split],
            )
        axes.axvline(best_epoch, color=GREY, linestyle=":", label="best epoch")
        axes.set(xlabel="epoch", title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(min(x, default=1) - 0.3, max(x, default=1) + 0.3)
        axes.grid(alpha=0.25)
    figure.axes[0].legend()
    figure.supxlabel("training is measured on augmented pictures with dropout", color=GREY, fontsize=7)
    return figure


def confusion_matrix(
    probabilities: Tensor, targets: Tensor, decision: Decision, *, intervals: Intervals | None = None
) -> Figure:
    """Draws counts and shares: true classes in rows, predicted classes in columns.

    `probabilities` (N,) are for the positive class; `targets` (N,) are 1 for positive. The intervals of accuracy and
    recall are written below, if given.
    """
    counts = binary_confusion_matrix(decision.is_positive(probabilities).long(), targets)
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            share = shares[row, column].item()
            text = f"{int(counts[row, column])}\n{share:.2%}"
            axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black")
    names = [shown_in_figures(name) for name in decision.negative_first]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.set(xlabel="predicted", ylabel="truth", title=f"{len(targets)} images, threshold {decision.threshold:g}")
    ranges = [f"{name}{_bounds(intervals, name)}" for name in ("accuracy", "recall") if _bounds(intervals, name)]
    if ranges:
        figure.supxlabel("95 %: " + ", ".join(ranges), color=GREY, fontsize=8)
    return figure


def _bounds(intervals: Intervals | None, name: str) -> str:
    """Returns the interval of a metric in brackets, an empty text if there is none."""
    low, high = (intervals or {}).get(name, (math.nan, math.nan))
    return "" if math.isnan(low) else f" ({low:.3f} to {high:.3f})"


def roc_figure(
    probabilities: Tensor, targets: Tensor, decision: Decision, *, intervals: Intervals | None = None
) -> Figure:
    """Draws recall against the rate of false alarms (ROC), and marks the point at the decision threshold."""
    figure, axes = _square_figure()
    if _note_one_class(axes, targets):
        return figure
    false_positive_rate, true_positive_rate, _ = binary_roc(probabilities, targets)
    area = binary_auroc(probabilities, targets).item()
    axes.plot(
        false_positive_rate, true_positive_rate, color=BLUE, label=f"AUROC {area:.4f}" + _bounds(intervals, "auroc")
    )
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    predicted, positive = decision.is_positive(probabilities), targets == 1
    x = (predicted & ~positive).sum() / (~positive).sum()
    y = (predicted & positive).sum() / positive.sum()
    axes.plot(x, y, "o", color=ORANGE, label=f"threshold {decision.threshold:g}")
    axes.set(xlabel="false alarms: share of sound images", ylabel="recall: share of cracked images", title="ROC")
    axes.legend(loc="lower right")
    return figure


def precision_recall_figure(
    probabilities: Tensor, targets: Tensor, decision: Decision, *, intervals: Intervals | None = None
) -> Figure:
    """Draws precision against recall, and marks the point at the decision threshold."""
    figure, axes = _square_figure()
    if _note_one_class(axes, targets):
        return figure
    precision, recall, _ = binary_precision_recall_curve(probabilities, targets)
    area = binary_average_precision(probabilities, targets).item()
    axes.plot(
        recall, precision, color=BLUE, label=f"average precision {area:.4f}" + _bounds(intervals, "average_precision")
    )
    predicted, positive = decision.is_positive(probabilities), targets == 1
    true_positives = (predicted & positive).sum()
    if predicted.any():
        x, y = true_positives / positive.sum(), true_positives / predicted.sum()
        axes.plot(x, y, "o", color=ORANGE, label=f"threshold {decision.threshold:g}")
    axes.axhline(positive.float().mean().item(), color=GREY, linestyle=":", label="chance")
    axes.set(
        xlabel="recall: share of cracked images found",
        ylabel="precision: share of alarms that are cracks",
        title="precision and recall",
    )
    axes.legend(loc="lower left")
    return figure


def reliability_figure(probabilities: Tensor, targets: Tensor, *, temperature: float) -> Figure:
    """Draws the share of cracks against the predicted probability, before and after division of the logits by
    `temperature`."""
    figure, axes = _square_figure()
    before = uncalibrated(probabilities, temperature)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="ideal")
    for values, colour, name in ((before, ORANGE, "before"), (probabilities, BLUE, "after")):
        curve = reliability(values, targets)
        label = f"{name} calibration: ECE {curve.error:.4f}"
        axes.plot(curve.probability, curve.share, "o-", color=colour, markersize=4, label=label)
    axes.set(
        xlabel="probability of a crack", ylabel="share of cracks", title=f"reliability, temperature {temperature:.2f}"
    )
    axes.legend(loc="upper left")
    return figure


def _square_figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.25)
    return figure, axes


def _note_one_class(axes: Axes, targets: Tensor) -> bool:
    """Returns whether all images have one class; if so, writes into `axes` that a curve is not defined."""
    one_class = len(torch.unique(targets)) < 2
    if one_class:
        axes.text(0.5, 0.5, "not defined: all images have one class", ha="center", color=GREY)
    return one_class


def pull_figure(losses: Mapping[float, float], *, chosen: float | None) -> Figure:
    """Draws the loss on left-out patches against the pull towards the head that was trained on synthetic cracks."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(list(losses), list(losses.values()), "o-", color=BLUE, markersize=4)
    if chosen is not None:
        axes.axvline(chosen, color=ORANGE, linestyle=":", label="chosen")
        axes.legend()
    axes.set(xlabel="pull towards the head of synthetic cracks (labels)", ylabel="loss on left-out patches")
    axes.grid(alpha=0.25)
    return figure
