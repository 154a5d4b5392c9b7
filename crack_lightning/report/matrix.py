"""Shows the metrics of every checkpoint on every data set in tables and heat maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crack_lightning.report.templates import rendered
from crack_lightning.system.names import shown_in_figures

FIGURES = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auroc", "average_precision", "ece")
LOW_IS_GOOD = ("ece",)
COLUMN_COUNT = 4  # heat maps in a row
HELD_OUT_MARK = "*"  # follows the metrics of a checkpoint on its own test images


@dataclass(frozen=True)
class Cell:
    """The metrics of a checkpoint on a data set: `figures` by name, 0..1, NaN if not defined, and their `intervals`.

    `held_out`: the checkpoint was trained on other images of this data set, and was evaluated on its test images only.
    """

    checkpoint: str
    data: str
    images: int
    cracked: int
    groups: int
    threshold: float
    held_out: bool
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


def empty_cell(checkpoint: str, data: str) -> Cell:
    """Returns the cell for a checkpoint that was trained on every image of the data set, so that none is left."""
    nan = float("nan")
    figures, intervals = dict.fromkeys(FIGURES, nan), dict.fromkeys(FIGURES, (nan, nan))
    return Cell(checkpoint, data, 0, 0, 0, nan, True, figures, intervals)


def matrix_rows(cells: Sequence[Cell]) -> tuple[list[str], list[list[object]]]:
    """Returns the header and the rows of matrix.csv, with a row for each cell."""
    header = ["checkpoint", "data", "images", "cracked", "groups", "threshold", "held_out"]
    header += [f"{name}{side}" for name in FIGURES for side in ("", "_low", "_high")]
    rows: list[list[object]] = []
    for cell in cells:
        values = [(cell.figures[name], *cell.intervals[name]) for name in FIGURES]
        flat = ["" if np.isnan(value) else f"{value:.6f}" for triple in values for value in triple]
        threshold = "" if np.isnan(cell.threshold) else f"{cell.threshold:.6f}"
        facts = [cell.checkpoint, cell.data, cell.images, cell.cracked, cell.groups, threshold]
        rows.append([*facts, int(cell.held_out), *flat])
    return header, rows


def matrix_markdown(cells: Sequence[Cell]) -> str:
    """Returns a table for each metric, a row for each checkpoint and a column for each data set, with intervals."""
    checkpoints, sets = _row_and_column_names(cells)
    by_names = {(cell.checkpoint, cell.data): cell for cell in cells}
    return rendered(
        "matrix.md",
        cells=cells,
        checkpoints=checkpoints,
        sets=sets,
        at=by_names,
        figures=FIGURES,
        held_out=HELD_OUT_MARK,
    )


def matrix_figure(cells: Sequence[Cell]) -> Figure:
    """Draws a heat map for each metric, a row for each checkpoint and a column for each data set."""
    checkpoints, sets = _row_and_column_names(cells)
    rows = -(-len(FIGURES) // COLUMN_COUNT)
    width, height = 1.6 + 1.1 * len(sets), 1.3 + 0.62 * len(checkpoints)
    figure = Figure(figsize=(max(9.0, COLUMN_COUNT * width), rows * max(2.2, height) + 0.5), layout="constrained")
    grid = figure.subplots(rows, COLUMN_COUNT, squeeze=False)
    for index, (name, axes) in enumerate(zip(FIGURES, grid.flat, strict=False)):
        _draw_heat_map(axes, cells, name, checkpoints if index % COLUMN_COUNT == 0 else [""] * len(checkpoints), sets)
    if any(cell.held_out for cell in cells):
        figure.supxlabel(f"{HELD_OUT_MARK} held-out test images of the same data set", fontsize=8)
    return figure


def _draw_heat_map(axes: Axes, cells: Sequence[Cell], name: str, rows: Sequence[str], columns: Sequence[str]) -> None:
    values = np.array([cell.figures[name] for cell in cells]).reshape(-1, len(columns))
    goodness = 1 - values if name in LOW_IS_GOOD else values
    axes.imshow(goodness, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for index, cell in enumerate(cells):
        row, column = divmod(index, len(columns))
        is_dark = goodness[row, column] > 0.6
        low, high = cell.intervals[name]
        text = "none" if np.isnan(cell.figures[name]) else f"{cell.figures[name]:.3f}{HELD_OUT_MARK * cell.held_out}"
        colour = "white" if is_dark else "black"
        axes.text(column, row - 0.1, text, ha="center", va="center", fontsize=9, color=colour)
        if not np.isnan(low):
            axes.text(column, row + 0.25, f"{low:.2f}-{high:.2f}", ha="center", va="center", fontsize=6, color=colour)
    axes.set_xticks(
        range(len(columns)),
        [shown_in_figures(label, most=24) for label in columns],
        rotation=25,
        ha="right",
        fontsize=8,
    )
    axes.set_yticks(range(len(rows)), [shown_in_figures(label, most=24) for label in rows], fontsize=8)
    axes.set_title(name.replace("_", " "), fontsize=10)


def _row_and_column_names(cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(cell.checkpoint for cell in cells)), list(dict.fromkeys(cell.data for cell in cells))
