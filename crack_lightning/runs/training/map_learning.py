"""Trains the head of a crack map on synthetic cracks alone, and chooses its levels.

A lesson is a synthetic training picture. A level is where log-odds or a score turn into the probability 0.5.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.images.reading import read_image
from crack_lightning.data.synthetic.lessons import Lesson, lesson
from crack_lightning.evaluation.cell_counts import CellCounts, counted_cells, masked_cells, total
from crack_lightning.features.cells import COVERED, VISIBLE, Cells, join_cells, sample_cells
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.grouping import crack_cells
from crack_lightning.inference.patch_scores import patch_score
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import LESSON_PX, CrackMap
from crack_lightning.system.processes import in_processes
from crack_lightning.system.progress import showing, track
from crack_lightning.training.cell_head import fit_head
from crack_lightning.training.patch_head import score_line

log = logging.getLogger(__name__)

BLOCK_LESSONS = 128  # lessons in memory at a time, 0.8 MB each
SURFACE_STEP = 7919  # step through the list of surfaces, so that neighbours in it do not follow each other
FIRST_HELD_OUT = 1_000_000  # index from which on no head is trained on lessons
TRIED_LEVELS = np.arange(0.5, 3.51, 0.25)  # log-odds above the median
# Added to levels that suit lessons, which are too low for photographs: these show more that is mistaken for cracks.
# The first was chosen by benchmarks/crack_maps.py on the masks of CrackSight and of DeepCrack. The second makes the
# level of patches 1.8, which about three of 60 sound patches of METU exceeded.
LEVEL_MARGINS = {"level": 0.65, "patch_level": 0.45}
TOLERANCE_CELLS = 1  # distance at which a marked cell and a cell of a crack still match
SCORE_START = (2.2, -3.0)  # initial slope and offset of the score of patches, from the package's own lessons

Surface = Path | Image.Image  # a square picture of a sound surface, or its file


@dataclass(frozen=True)
class Head:
    """A trained head: its weights (channels,), its bias, and the levels of CrackMap that suit it, by name."""

    weight: Tensor
    bias: float
    levels: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """Returns the head as plain values: weights and bias with five digits, levels with three decimals."""
        return {
            "weight": [float(f"{value:.5g}") for value in self.weight.tolist()],
            "bias": float(f"{self.bias:.5g}"),
            **{name: round(value, 3) for name, value in self.levels.items()},
        }


def train_head(
    network: CrackMap,
    surfaces: Sequence[Surface],
    *,
    count: int,
    level_count: int,
    seeds: Sequence[int],
    level_surfaces: Sequence[Surface] | None = None,
) -> Head:
    """Trains a head for each of `seeds` on `count` lessons; gives `network` the mean of these heads, and returns it.

    Its levels suit `level_count` other lessons. Every second lesson is drawn onto one of `surfaces`, or of
    `level_surfaces` (if given) to choose levels; the rest are drawn onto generated surfaces.
    """
    heads = [_train_with_seed(network, surfaces, count, seed) for seed in seeds]
    for buffer in (network.weight, network.patch_weight):
        buffer.copy_(torch.stack([weight for weight, _ in heads]).mean(dim=0))
    network.bias.fill_(float(np.mean([bias for _, bias in heads])))
    level_surfaces = surfaces if level_surfaces is None else level_surfaces
    levels = level_for_photographs(network, level_surfaces, count=level_count, seed=seeds[0])
    reader = CrackMapReader(network, engine="folded")
    levels |= _with_margins(patch_levels(reader, held_out_lessons(level_surfaces, level_count, seeds[0])))
    return Head(network.weight.cpu(), network.bias.item(), levels)


def level_for_photographs(network: CrackMap, surfaces: Sequence[Surface], *, count: int, seed: int) -> dict[str, float]:
    """Returns `level` for the head of `network`, from `count` lessons that it was not trained on."""
    reader = CrackMapReader(network, engine="folded")
    return _with_margins({"level": _level_for_lessons(reader, held_out_lessons(surfaces, count, seed))})


def _with_margins(levels: Mapping[str, float]) -> dict[str, float]:
    """Raises levels that suit lessons by LEVEL_MARGINS, so that they suit photographs."""
    return {name: level + LEVEL_MARGINS.get(name, 0.0) for name, level in levels.items()}


def held_out_lessons(surfaces: Sequence[Surface], count: int, seed: int) -> list[Lesson]:
    """Returns lessons that no head is trained on."""
    return [example for block in lessons(surfaces, FIRST_HELD_OUT, count, seed) for example in block]


def _train_with_seed(network: CrackMap, surfaces: Sequence[Surface], count: int, seed: int) -> tuple[Tensor, float]:
    cells = _sample_cells(network, surfaces, count, seed)
    log.info("seed %d: %d cells of %d lessons", seed, len(cells.kinds), count)
    return fit_head(cells)


def _sample_cells(network: CrackMap, surfaces: Sequence[Surface], count: int, seed: int) -> Cells:
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for block in lessons(surfaces, 0, count, seed):
        parts += [sample_cells(network, half, generator) for half in (block[0::2], block[1::2])]
    return join_cells(parts, generator)


def lessons(surfaces: Sequence[Surface], first: int, count: int, seed: int) -> Iterator[list[Lesson]]:
    """Yields `count` lessons from index `first` on, in blocks. Those with odd indices are drawn onto `surfaces`, the
    others onto generated ones; all cores draw."""
    starts = range(first, first + count, BLOCK_LESSONS)
    for start in track(starts, "learning from synthetic pictures", total=len(starts), unit="blocks"):
        indices = range(start, min(start + BLOCK_LESSONS, first + count))
        tasks = [(_surface(surfaces, index), index) for index in indices]
        with showing(False):  # one bar for all blocks
            block = in_processes(partial(_lesson, seed), tasks, "drawing", workers=None)
        yield block


def _surface(surfaces: Sequence[Surface], index: int) -> Surface | None:
    return surfaces[(index * SURFACE_STEP) % len(surfaces)] if surfaces and index % 2 else None


def _lesson(seed: int, task: tuple[Surface | None, int]) -> Lesson:
    surface, index = task
    return lesson(read_image(surface) if isinstance(surface, Path) else surface, seed, index)


def _level_for_lessons(reader: CrackMapReader, held_out: Sequence[Lesson]) -> float:
    """Returns the level with the highest F1 of cells, within TOLERANCE_CELLS."""
    maps = [reader.above_median(reader.prepared(lesson.image)).numpy() for lesson in held_out]
    level, counts = best_level(maps, [_crack_cells(lesson) for lesson in held_out])
    log.info("level %.1f: F1 of cells %.3f on held-out lessons", level, counts.f1)
    return level


def best_level(maps: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> tuple[float, CellCounts]:
    """Returns the level at which `maps` (h, w) mark the cells of `truths` with the highest F1, and its counts."""
    counts = [
        total(
            counted_cells(crack_cells(odds, level), truth, tolerance=TOLERANCE_CELLS)
            for odds, truth in zip(maps, truths, strict=True)
        )
        for level in TRIED_LEVELS
    ]
    best = int(np.argmax([count.f1 for count in counts]))
    return float(TRIED_LEVELS[best]), counts[best]


def _crack_cells(example: Lesson) -> np.ndarray:
    """Returns which cells (h, w) bool of a lesson a visible crack runs through."""
    return masked_cells((example.cover > COVERED) & (example.strength > VISIBLE))


def patch_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """Returns `patch_level` and `patch_scale`: a logistic regression from the scores of lessons to whether a crack is
    visible."""
    scale = WindowScale(LESSON_PX)
    scores = torch.tensor([patch_score(reader.logits(reader.scaled(example.image, scale))) for example in held_out])
    targets = torch.tensor([float(_crack_cells(example).any()) for example in held_out])
    slope, offset = score_line(scores, targets, start=SCORE_START)
    return {"patch_level": -offset / slope, "patch_scale": 1 / slope}
