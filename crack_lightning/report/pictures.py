"""Draws figures of pictures with their predictions, of masks, and of the layers of a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL.Image import Image

from crack_lightning.system.names import shown_in_figures

GREEN, RED, GREY = "#1b7f4b", "#c22f2f", "#8a8f98"


@dataclass(frozen=True)
class PredictedPicture:
    """A picture with its true class, its predicted class, and the probability of the predicted class, 0..1."""

    image: Image
    truth: str
    predicted: str
    confidence: float
    name: str = ""


def prediction_grid(predictions: Sequence[PredictedPicture], *, title: str, columns: int = 4) -> Figure:
    """Draws pictures with prediction and truth in their titles: green if the two agree, else red."""
    columns = max(1, min(columns, len(predictions)))
    rows = max(1, -(-len(predictions) // columns))
    width, height = max(5.0, 2.3 * columns), 2.75 * rows + 0.5
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    # Margins are set in inches: an automatic layout measures every text, which takes longer than everything else at
    # the end of a run.
    figure.subplots_adjust(
        left=0.1 / width, right=1 - 0.1 / width, bottom=0.25 / height, top=1 - 0.85 / height, wspace=0.06, hspace=0.3
    )
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, shown in zip(figure.axes, predictions, strict=False):
        is_right = shown.predicted == shown.truth
        axes.imshow(shown.image)
        axes.set_title(
            f"{shown_in_figures(shown.predicted, most=30)} ({shown.confidence:.1%})\n"
            f"truth: {shown_in_figures(shown.truth, most=30)}",
            fontsize=9,
            color=GREEN if is_right else RED,
        )
        axes.text(
            0.5,
            -0.02,
            shown_in_figures(shown.name, most=44),
            transform=axes.transAxes,
            fontsize=6,
            color=GREY,
            ha="center",
            va="top",
        )
    return figure


def architecture_figure(rows: Sequence[Sequence[str]], *, title: str, trainable: Sequence[bool]) -> Figure:
    """Draws a box for each layer, from input to output.

    Each row is (name, type, input shape, output shape, parameters); `trainable` says which layers are trained.
    """
    figure = Figure(figsize=(7.6, 0.42 * len(rows) + 0.9))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.6, -1.4))
    axes.axis("off")
    axes.text(0.5, -0.95, title, ha="center", va="center", fontsize=11)
    columns = (0.05, 0.27, 0.50, 0.68, 0.95)
    for x, heading, side in zip(columns, ("layer", "kind", "in", "out", "parameters"), _ALIGNMENTS, strict=True):
        axes.text(x, -0.25, heading, fontsize=8, color=GREY, ha=side, va="center")
    for y, (row, is_trainable) in enumerate(zip(rows, trainable, strict=True)):
        face = "#e3efe6" if is_trainable else "#eef0f3"
        axes.add_patch(
            FancyBboxPatch(
                (0.03, y + 0.12),
                0.94,
                0.72,
                boxstyle="round,pad=0,rounding_size=0.012",
                fc=face,
                ec="#c3c8d0",
            )
        )
        for x, text, side in zip(columns, row, _ALIGNMENTS, strict=True):
            axes.text(x, y + 0.48, text, fontsize=8, ha=side, va="center", family="monospace")
    axes.text(0.5, len(rows) + 0.28, "green: learned in this run; grey: fixed", fontsize=7, color=GREY, ha="center")
    return figure


_ALIGNMENTS = ("left", "left", "left", "left", "right")


def masks_figure(shown: Sequence[tuple[Image, str]], *, columns: int = 3) -> Figure:
    """Draws photographs, each with its title; their overlays show what was found, missed and marked wrongly."""
    columns = max(1, min(columns, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(4 * columns, 3.4 * rows + 0.4), layout="constrained")
    figure.suptitle("The worst photographs: found green, missed red, marked wrongly orange", fontsize=11)
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, (image, title) in zip(figure.axes, shown, strict=False):
        axes.imshow(image)
        axes.set_title("\n".join(shown_in_figures(line, most=60) for line in title.splitlines()), fontsize=8)
    return figure
