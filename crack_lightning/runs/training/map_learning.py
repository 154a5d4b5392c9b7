"""The head of a crack map from drawn cracks alone, and the levels at which it is read."""

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
from crack_lightning.features.cells import COVERED, VISIBLE, Cells, joined, sampled
from crack_lightning.inference.crack_maps import CrackMapReader, followed_cells
from crack_lightning.inference.patch_scores import patch_score
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import LESSON_PX, CrackMap
from crack_lightning.system.processes import in_processes
from crack_lightning.training.cell_head import fit_head
from crack_lightning.training.patch_head import score_line

log = logging.getLogger(__name__)

BLOCK = 128  # lessons that are held at a time, 0.8 MB each
NEARLY_PRIME = 7919  # steps through the sources, so that neighbours among them do not follow each other
HELD_OUT = 1_000_000  # first index of lessons that the head does not see
LEVELS = np.arange(0.5, 3.51, 0.25)  # log-odds above the median that are tried
# Photographs show more that is mistaken for cracks than lessons do: levels that suit lessons are too low for them.
# Chosen by benchmarks/crack_maps.py on the masks of CrackSight and of DeepCrack; the last one so that it came to 1.8,
# which about three of 60 sound patches of METU exceeded.
MARGINS = {"level": 1.0, "small_level": 0.4, "patch_level": 0.45}
PRIOR_L2 = 0.5  # towards the head of the package: of 0.1, 0.5 and 2.0 the best on pavements and walls, by little
SLACK_CELLS = 1  # between a marked cell and a drawn one
START = (2.2, -3.0)  # slope and offset of the score that the package's own lessons gave

Surface = Path | Image.Image  # a square picture of a sound surface


@dataclass(frozen=True)
class Head:
    """What training gives: weights (channels,), bias, and the levels of CrackMap."""

    weight: Tensor
    bias: float
    levels: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """Plain values, of five digits each."""
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
    """The mean of a head for each of `seeds`, of `count` lessons each, read at the levels that suit `judged` others.

    Every second lesson is drawn onto one of `surfaces`, the others onto generated ones; those that choose the levels
    onto `judged_on`, else `surfaces`. Without `plain`, what nobody drew on `surfaces` is not learned as sound: it may
    hold cracks. With `prior_l2` it is pulled towards the head that `network` has, which has the new one afterwards.
    """
    heads = [_one_head(network, surfaces, count, seed, plain, prior_l2) for seed in seeds]
    for buffer in (network.weight, network.patch_weight):
        buffer.copy_(torch.stack([weight for weight, _ in heads]).mean(dim=0))
    network.bias.fill_(float(np.mean([bias for _, bias in heads])))
    onto = surfaces if judged_on is None else judged_on
    levels = levels_of_cells(network, onto, count=judged, seed=seeds[0])
    reader = CrackMapReader(network, engine="folded")
    levels |= with_margins(patch_levels(reader, _held_out(onto, judged, seeds[0])))
    return Head(network.weight.cpu(), network.bias.item(), levels)


def levels_of_cells(network: CrackMap, surfaces: Sequence[Surface], *, count: int, seed: int) -> dict[str, float]:
    """`level` and `small_level` for the head of `network`, chosen on `count` lessons that it did not learn from."""
    reader = CrackMapReader(network, engine="folded")
    return with_margins(cell_levels(reader, _held_out(surfaces, count, seed)))


def with_margins(levels: Mapping[str, float]) -> dict[str, float]:
    """Levels that suit lessons, raised for photographs."""
    return {name: level + MARGINS.get(name, 0.0) for name, level in levels.items()}


def _held_out(surfaces: Sequence[Surface], count: int, seed: int) -> list[Lesson]:
    return [each for block in lessons(surfaces, HELD_OUT, count, seed) for each in block]


def _one_head(
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
        drawn_on, generated = block[1::2], block[0::2]  # every second one, as `lessons` has it
        parts.append(sampled(network, generated, generator))
        parts.append(sampled(network, drawn_on, generator, plain=plain))
    return joined(parts, generator)


def lessons(surfaces: Sequence[Surface], first: int, count: int, seed: int) -> Iterator[list[Lesson]]:
    """Blocks of lessons `first` to `first + count`, drawn by all cores; those of odd numbers onto `surfaces`."""
    for start in range(first, first + count, BLOCK):
        indices = range(start, min(start + BLOCK, first + count))
        tasks = [(_surface(surfaces, index), index) for index in indices]
        yield in_processes(partial(_lesson, seed), tasks, "drawing", workers=None)


def _surface(surfaces: Sequence[Surface], index: int) -> Surface | None:
    return surfaces[(index * NEARLY_PRIME) % len(surfaces)] if surfaces and index % 2 else None


def _lesson(seed: int, task: tuple[Surface | None, int]) -> Lesson:
    surface, index = task
    return lesson(read_image(surface) if isinstance(surface, Path) else surface, seed, index)


def cell_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """The levels of `level` and `small_level` that give the highest F1 of cells, with SLACK_CELLS of tolerance."""
    drawn = [_drawn(lesson) for lesson in held_out]
    levels = {}
    for name, small in (("level", False), ("small_level", True)):
        pictures = (reader.prepared_as(lesson.image, small=small) for lesson in held_out)
        maps = [reader.above_median(picture, small=small).numpy() for picture in pictures]
        levels[name], counts = best_level(maps, drawn)
        log.info("%s %.1f: F1 of cells %.3f on lessons that were held out", name, levels[name], counts.f1)
    return levels


def best_level(maps: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> tuple[float, CellCounts]:
    """Of LEVELS the one at which the `maps` (h, w) mark the cells of `truths` with the highest F1, and the counts."""
    counts = [
        total(
            counted_cells(followed_cells(odds, level), truth, tolerance=SLACK_CELLS)
            for odds, truth in zip(maps, truths, strict=True)
        )
        for level in LEVELS
    ]
    best = int(np.argmax([count.f1 for count in counts]))
    return float(LEVELS[best]), counts[best]


def _drawn(one: Lesson) -> np.ndarray:
    return masked_cells((one.cover > COVERED) & (one.strength > VISIBLE))


def patch_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """Level and scale of the score of a patch: logistic regression of whether a lesson has a visible crack."""
    scale = WindowScale(LESSON_PX)
    scores = torch.tensor([patch_score(reader.logits(reader.scaled(each.image, scale))) for each in held_out])
    targets = torch.tensor([float(_drawn(each).any()) for each in held_out])
    slope, offset = score_line(scores, targets, start=START)
    return {"patch_level": -offset / slope, "patch_scale": 1 / slope}
