"""Trains the head of a crack map on drawn cracks alone, and chooses the levels at which it is read."""

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
from crack_lightning.inference.crack_maps import CrackMapReader, followed_cells
from crack_lightning.inference.patch_scores import patch_score
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import LESSON_PX, CrackMap
from crack_lightning.system.processes import in_processes
from crack_lightning.system.progress import showing, track
from crack_lightning.training.cell_head import fit_head
from crack_lightning.training.patch_head import score_line

log = logging.getLogger(__name__)

BLOCK = 128  # lessons in memory at a time, 0.8 MB each
SURFACE_STEP = 7919  # from one surface to the next in their list, so that neighbours do not follow each other
HELD_OUT = 1_000_000  # first index of lessons that the head is not trained on
LEVELS = np.arange(0.5, 3.51, 0.25)  # log-odds above the median that are tried
# More is mistaken for cracks in photographs than in lessons: levels that suit lessons are too low for photographs.
# Chosen by benchmarks/crack_maps.py on the masks of CrackSight and of DeepCrack; the last one so that the level of
# patches came to 1.8, which about three of 60 sound patches of METU exceeded.
MARGINS = {"level": 1.0, "small_level": 0.4, "patch_level": 0.45}
PRIOR_L2 = 0.5  # pull towards the package's head: of 0.1, 0.5 and 2.0 narrowly the best on pavements and walls
SLACK_CELLS = 1  # tolerated between a marked cell and a drawn one
START = (2.2, -3.0)  # slope and offset of the score of patches, from the package's own lessons

Surface = Path | Image.Image  # a square picture of a sound surface


@dataclass(frozen=True)
class Head:
    """A trained head: weights (channels,), bias, and the levels of CrackMap."""

    weight: Tensor
    bias: float
    levels: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """Returns plain values: weights and bias with five digits, levels with three decimals."""
        return {
            "weight": [float(f"{value:.5g}") for value in self.weight.tolist()],
            "bias": float(f"{self.bias:.5g}"),
            **{name: round(value, 3) for name, value in self.levels.items()},
        }


def trained_head(
    network: CrackMap,
    surfaces: Sequence[Surface],
    *,
    count: int,
    judged: int,
    seeds: Sequence[int],
    judged_on: Sequence[Surface] | None = None,
    plain: bool = True,
    prior_l2: float | None = None,
) -> Head:
    """Returns the mean of the heads of `seeds`, each trained on `count` lessons, with levels that suit `judged` others.

    Every second lesson is drawn onto one of `surfaces`, the others onto generated ones; those that the levels
    suit, onto `judged_on`, else `surfaces`. Without `plain`, undrawn parts of `surfaces` are not learned as sound: they
    may be cracked. With `prior_l2` the head is pulled towards the one of `network`. `network` gets the new head.
    """
    heads = [_head_of_seed(network, surfaces, count, seed, plain, prior_l2) for seed in seeds]
    for buffer in (network.weight, network.patch_weight):
        buffer.copy_(torch.stack([weight for weight, _ in heads]).mean(dim=0))
    network.bias.fill_(float(np.mean([bias for _, bias in heads])))
    level_surfaces = surfaces if judged_on is None else judged_on
    levels = levels_of_cells(network, level_surfaces, count=judged, seed=seeds[0])
    reader = CrackMapReader(network, engine="folded")
    levels |= with_margins(patch_levels(reader, _held_out(level_surfaces, judged, seeds[0])))
    return Head(network.weight.cpu(), network.bias.item(), levels)


def levels_of_cells(network: CrackMap, surfaces: Sequence[Surface], *, count: int, seed: int) -> dict[str, float]:
    """Returns `level` and `small_level` for the head of `network`, from `count` lessons that it was not trained on."""
    reader = CrackMapReader(network, engine="folded")
    return with_margins(cell_levels(reader, _held_out(surfaces, count, seed)))


def with_margins(levels: Mapping[str, float]) -> dict[str, float]:
    """Returns levels that suit lessons, raised for photographs."""
    return {name: level + MARGINS.get(name, 0.0) for name, level in levels.items()}


def _held_out(surfaces: Sequence[Surface], count: int, seed: int) -> list[Lesson]:
    return [example for block in lessons(surfaces, HELD_OUT, count, seed) for example in block]


def _head_of_seed(
    network: CrackMap, surfaces: Sequence[Surface], count: int, seed: int, plain: bool, prior_l2: float | None
) -> tuple[Tensor, float]:
    cells = _cells(network, surfaces, count, seed, plain)
    log.info("seed %d: %d cells of %d lessons", seed, len(cells.kinds), count)
    if prior_l2 is None:
        return fit_head(cells)
    return fit_head(cells, l2=prior_l2, prior=(network.weight.cpu().clone(), network.bias.item()))


def _cells(network: CrackMap, surfaces: Sequence[Surface], count: int, seed: int, plain: bool) -> Cells:
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for block in lessons(surfaces, 0, count, seed):
        drawn_on, generated = block[1::2], block[0::2]  # `lessons` draws those of odd numbers onto surfaces
        parts.append(sample_cells(network, generated, generator))
        parts.append(sample_cells(network, drawn_on, generator, plain=plain))
    return join_cells(parts, generator)


def lessons(surfaces: Sequence[Surface], first: int, count: int, seed: int) -> Iterator[list[Lesson]]:
    """Yields blocks of lessons `first` to `first + count`, drawn by all cores; those of odd numbers onto `surfaces`."""
    starts = range(first, first + count, BLOCK)
    for start in track(starts, "learning from drawn pictures", total=len(starts), unit="blocks"):
        indices = range(start, min(start + BLOCK, first + count))
        tasks = [(_surface(surfaces, index), index) for index in indices]
        with showing(False):  # one bar for all blocks
            block = in_processes(partial(_lesson, seed), tasks, "drawing", workers=None)
        yield block


def _surface(surfaces: Sequence[Surface], index: int) -> Surface | None:
    return surfaces[(index * SURFACE_STEP) % len(surfaces)] if surfaces and index % 2 else None


def _lesson(seed: int, task: tuple[Surface | None, int]) -> Lesson:
    surface, index = task
    return lesson(read_image(surface) if isinstance(surface, Path) else surface, seed, index)


def cell_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """Returns the `level` and `small_level` that give the highest F1 of cells, with SLACK_CELLS of tolerance."""
    drawn = [_drawn_cells(lesson) for lesson in held_out]
    levels = {}
    for name, small in (("level", False), ("small_level", True)):
        pictures = (reader.prepared_as(lesson.image, small=small) for lesson in held_out)
        maps = [reader.above_median(picture, small=small).numpy() for picture in pictures]
        levels[name], counts = best_level(maps, drawn)
        log.info("%s %.1f: F1 of cells %.3f on lessons that were held out", name, levels[name], counts.f1)
    return levels


def best_level(maps: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> tuple[float, CellCounts]:
    """Returns the one of LEVELS at which `maps` (h, w) mark the cells of `truths` with the highest F1, and counts."""
    counts = [
        total(
            counted_cells(followed_cells(odds, level), truth, tolerance=SLACK_CELLS)
            for odds, truth in zip(maps, truths, strict=True)
        )
        for level in LEVELS
    ]
    best = int(np.argmax([count.f1 for count in counts]))
    return float(LEVELS[best]), counts[best]


def _drawn_cells(example: Lesson) -> np.ndarray:
    return masked_cells((example.cover > COVERED) & (example.strength > VISIBLE))


def patch_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """Returns level and scale of a patch's score, by logistic regression of whether a lesson has a visible crack."""
    scale = WindowScale(LESSON_PX)
    scores = torch.tensor([patch_score(reader.logits(reader.scaled(example.image, scale))) for example in held_out])
    targets = torch.tensor([float(_drawn_cells(example).any()) for example in held_out])
    slope, offset = score_line(scores, targets, start=START)
    return {"patch_level": -offset / slope, "patch_scale": 1 / slope}
