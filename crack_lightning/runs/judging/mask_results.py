"""Evaluates a crack map on photographs with masks: counts for each, metrics, a table, and a figure of the worst."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torchmetrics.classification import BinaryAveragePrecision

from crack_lightning.data.images.reading import read_image
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.masks import mask_of
from crack_lightning.evaluation.cell_counts import masked_cells, near
from crack_lightning.evaluation.mask_counts import MaskCounts, count_against_mask, iou, mask_metrics
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.grouping import keep_cracks
from crack_lightning.inference.overlay import heat_picture
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import CELL_PX
from crack_lightning.report.pictures import masks_figure
from crack_lightning.runs.judging.run_figures import png_bytes
from crack_lightning.runs.judging.run_files import write_figures, write_metrics
from crack_lightning.system.files import write_csv
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

Array = np.ndarray

THRESHOLD_COUNT = 200  # thresholds from which the average precision is computed
WORST_COUNT, WORST_PX = 9, 700  # photographs in the figure of the worst, and the longer side of each
HEADER = ["photograph", "cells_precision", "cells_recall", "cells_f1", "pixels_iou", "marked_cells", "crack_cells"]


@dataclass(frozen=True)
class EvaluatedPhotograph:
    """A photograph, its counts, the cells that the map marks (`found`) and those on a crack (`truth`)."""

    sample: Sample
    counts: MaskCounts
    found: Array
    truth: Array


def evaluate_photographs(
    reader: CrackMapReader, samples: Sequence[Sample], *, tolerance: int, megapixels: float, seed: int = 0
) -> tuple[list[EvaluatedPhotograph], dict[str, float]]:
    """Returns each photograph with its counts, and the metrics over all of them.

    `tolerance` is in cells. Raises UserError for an unusable mask.
    """
    average_precision = BinaryAveragePrecision(thresholds=THRESHOLD_COUNT)
    evaluated = list[EvaluatedPhotograph]()
    threshold = reader.classifier.marking_decision.threshold
    for sample in track(samples, "evaluating", total=len(samples), unit="photographs"):
        image = read_image(sample.path, megapixels=megapixels)
        mask = mask_of(sample, image.size, megapixels=megapixels)
        truth = masked_cells(mask)
        heat = reader.heat(reader.scaled(image, WindowScale(max(image.size))))
        average_precision.update(torch.from_numpy(heat.probability).flatten(), torch.from_numpy(truth).long().flatten())
        marked = keep_cracks(heat, threshold)
        pixels = np.asarray(heat_picture(marked, image.size)) >= 255 * threshold
        marks = marked.probability >= threshold
        counts = count_against_mask(marks, truth, pixels, mask, tolerance=tolerance)
        evaluated.append(EvaluatedPhotograph(sample, counts, marks, truth))
    groups = [photograph.sample.group for photograph in evaluated]
    precision = float(average_precision.compute()) if any(photograph.truth.any() for photograph in evaluated) else 0.0
    return evaluated, mask_metrics([photograph.counts for photograph in evaluated], precision, groups, seed=seed)


def write_mask_results(
    folder: Path, evaluated: Sequence[EvaluatedPhotograph], metrics: Mapping[str, float], *, figures: bool = True
) -> None:
    """Writes metrics.json, photographs.csv and figures/worst_photographs.png into `folder`."""
    write_metrics(folder, metrics)
    write_csv(folder / "photographs.csv", HEADER, [_row(photograph) for photograph in evaluated])
    if figures:
        write_figures(folder, png_bytes({"worst_photographs": worst_photographs(evaluated)}))


def log_test_metrics(metrics: Mapping[str, float]) -> None:
    """Logs the metrics of the test, one per line."""
    for name, value in sorted(metrics.items()):
        if name.startswith("test/"):
            log.info("%s %.4f", name, value)


def _row(photograph: EvaluatedPhotograph) -> list[object]:
    cells = photograph.counts.cells
    shares = (cells.precision, cells.recall, cells.f1, iou(photograph.counts.pixels))
    return [photograph.sample.path, *(f"{share:.4f}" for share in shares), cells.marked, cells.cracked]


def worst_photographs(evaluated: Sequence[EvaluatedPhotograph]) -> Figure:
    """Draws the photographs with the lowest F1; found, missed and wrongly marked cells are coloured."""
    ranked = sorted(evaluated, key=lambda photograph: (photograph.counts.cells.f1, -photograph.counts.cells.marked))
    return masks_figure([(_coloured(photograph), _title(photograph)) for photograph in ranked[:WORST_COUNT]])


def _title(photograph: EvaluatedPhotograph) -> str:
    cells = photograph.counts.cells
    return f"{photograph.sample.path.name}\nprecision {cells.precision:.2f}, recall {cells.recall:.2f}"


def _coloured(photograph: EvaluatedPhotograph) -> Image.Image:
    """Returns the photograph in grey, with found cells green, missed ones red and wrongly marked ones orange."""
    image = read_image(photograph.sample.path).convert("L").convert("RGB")
    colours = np.zeros((*photograph.found.shape, 4), np.uint8)
    wrong, missed = photograph.found & ~near(photograph.truth, 1), photograph.truth & ~near(photograph.found, 1)
    for cells, colour in ((photograph.found, (27, 160, 90)), (wrong, (230, 130, 20)), (missed, (210, 30, 40))):
        colours[cells] = (*colour, 200)
    height, width = (CELL_PX * side for side in photograph.found.shape)
    over = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST).crop((0, 0, *image.size))
    image.paste(over, (0, 0), over)
    image.thumbnail((WORST_PX, WORST_PX))
    return image
