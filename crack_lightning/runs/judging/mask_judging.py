"""Judges a crack map on photographs with masks: the counts of each, metrics, a table, and a figure of the worst."""

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
from crack_lightning.evaluation.mask_counts import MaskCounts, counted, iou, mask_metrics
from crack_lightning.inference.crack_maps import CrackMapReader, followed
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

THRESHOLDS = 200  # at which the average precision is computed
SHOWN, SHOWN_PX = 9, 700  # photographs in the figure, and the longer side of each
HEADER = ["photograph", "cells_precision", "cells_recall", "cells_f1", "pixels_iou", "marked_cells", "crack_cells"]


@dataclass(frozen=True)
class JudgedPhotograph:
    """A photograph, its counts, the cells that were marked (`found`) and those that a crack runs through (`truth`)."""

    sample: Sample
    counts: MaskCounts
    found: Array
    truth: Array


def judge_masks(
    reader: CrackMapReader, masked: Sequence[Sample], *, tolerance: int, megapixels: float, seed: int = 0
) -> tuple[list[JudgedPhotograph], dict[str, float]]:
    """Returns each photograph with its counts, and the metrics of all. Raises UserError for an unusable mask."""
    ranked = BinaryAveragePrecision(thresholds=THRESHOLDS)
    judged = list[JudgedPhotograph]()
    threshold = reader.classifier.marking_decision.threshold
    for photograph in track(masked, "judging", total=len(masked), unit="photographs"):
        image = read_image(photograph.path, megapixels=megapixels)
        mask = mask_of(photograph, image.size, megapixels=megapixels)
        truth = masked_cells(mask)
        heat = reader.heat(reader.scaled(image, WindowScale(max(image.size))))
        ranked.update(torch.from_numpy(heat.probability).flatten(), torch.from_numpy(truth).long().flatten())
        marked = followed(heat, threshold)
        pixels = np.asarray(heat_picture(marked, image.size)) >= 255 * threshold
        marks = marked.probability >= threshold
        judged.append(
            JudgedPhotograph(photograph, counted(marks, truth, pixels, mask, tolerance=tolerance), marks, truth)
        )
    groups = [photograph.sample.group for photograph in judged]
    precision = float(ranked.compute()) if any(photograph.truth.any() for photograph in judged) else 0.0
    return judged, mask_metrics([photograph.counts for photograph in judged], precision, groups, seed=seed)


def write_masks_judged(
    folder: Path, judged: Sequence[JudgedPhotograph], metrics: Mapping[str, float], *, figures: bool = True
) -> None:
    """Writes metrics.json, photographs.csv and figures/worst_photographs.png into `folder`."""
    write_metrics(folder, metrics)
    write_csv(folder / "photographs.csv", HEADER, [_row(photograph) for photograph in judged])
    if figures:
        write_figures(folder, png_bytes({"worst_photographs": worst_photographs(judged)}))


def log_masks(metrics: Mapping[str, float]) -> None:
    """Logs the metrics of the test, a line each."""
    for name, value in sorted(metrics.items()):
        if name.startswith("test/"):
            log.info("%s %.4f", name, value)


def _row(photograph: JudgedPhotograph) -> list[object]:
    cells = photograph.counts.cells
    shares = (cells.precision, cells.recall, cells.f1, iou(photograph.counts.pixels))
    return [photograph.sample.path, *(f"{share:.4f}" for share in shares), cells.marked, cells.there]


def worst_photographs(judged: Sequence[JudgedPhotograph]) -> Figure:
    """Shows the photographs with the lowest F1, with the cells that were found, missed and marked wrongly."""
    ranked = sorted(judged, key=lambda picture: (picture.counts.cells.f1, -picture.counts.cells.marked))[:SHOWN]
    return masks_figure([(_shown(picture), _title(picture)) for picture in ranked])


def _title(photograph: JudgedPhotograph) -> str:
    cells = photograph.counts.cells
    return f"{photograph.sample.path.name}\nprecision {cells.precision:.2f}, recall {cells.recall:.2f}"


def _shown(photograph: JudgedPhotograph) -> Image.Image:
    """Returns the photograph in grey, with found cells green, missed ones red and wrongly marked ones orange."""
    image = read_image(photograph.sample.path).convert("L").convert("RGB")
    colours = np.zeros((*photograph.found.shape, 4), np.uint8)
    wrong, missed = photograph.found & ~near(photograph.truth, 1), photograph.truth & ~near(photograph.found, 1)
    for cells, colour in ((photograph.found, (27, 160, 90)), (wrong, (230, 130, 20)), (missed, (210, 30, 40))):
        colours[cells] = (*colour, 200)
    height, width = (CELL_PX * side for side in photograph.found.shape)
    over = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST).crop((0, 0, *image.size))
    image.paste(over, (0, 0), over)
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    return image
