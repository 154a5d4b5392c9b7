"""The head of a crack map from drawn cracks alone, and the levels at which it is read."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crack_lightning.data.synthetic.lessons import Lesson, lesson
from crack_lightning.evaluation.cells import counted_cells, masked_cells, total
from crack_lightning.features.cells import COVERED, VISIBLE, joined, sampled
from crack_lightning.inference.crack_maps import CrackMapReader, followed_cells
from crack_lightning.inference.patch_scores import patch_score
from crack_lightning.inference.photographs import Scale
from crack_lightning.models.crack_map import LESSON_PX, CrackMap
from crack_lightning.system.processes import in_processes
from crack_lightning.training.cell_head import fit_head

log = logging.getLogger(__name__)

BLOCK = 512  # lessons that are held at a time
NEARLY_PRIME = 7919  # steps through the sources, so that neighbours among them do not follow each other
HELD_OUT = 1_000_000  # first index of lessons that the head does not see
LEVELS = np.arange(0.5, 3.51, 0.25)  # log-odds above the median that are tried
# Photographs show more that is mistaken for cracks than lessons do: levels that suit lessons are too low for them.
# Chosen by benchmarks/crack_maps.py on the masks of CrackSight and of DeepCrack; the last one so that it came to 1.8,
# which about three of 60 sound patches of METU exceeded.
MARGINS = {"level": 1.0, "small_level": 0.4, "patch_level": 0.45}
PRIOR_L2 = 0.5  # towards the head of the package: of 0.1, 0.5 and 2.0 the best on pavements and walls, by little
SLACK_CELLS = 1  # between a marked cell and a drawn one
# Slope and offset of the score that the package's own lessons gave, and the pull towards them: a few lessons may all be
# cracked, or told apart without an error, and the logistic regression would have no end.
START, PULL, LEAST_SLOPE = (2.2, -3.0), 0.01, 0.1

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
    network.weight.copy_(torch.stack([weight for weight, _ in heads]).mean(dim=0))
    network.bias.fill_(float(np.mean([bias for _, bias in heads])))
    reader = CrackMapReader(network, engine="folded")
    blocks = lessons(surfaces if judged_on is None else judged_on, HELD_OUT, judged, seeds[0])
    held_out = [each for block in blocks for each in block]
    levels = {**cell_levels(reader, held_out), **patch_levels(reader, held_out)}
    levels = {name: level + MARGINS.get(name, 0.0) for name, level in levels.items()}
    return Head(network.weight.cpu(), network.bias.item(), levels)


def _one_head(
    network: CrackMap, surfaces: Sequence[Surface], count: int, seed: int, plain: bool, prior_l2: float | None
) -> tuple[Tensor, float]:
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for block in lessons(surfaces, 0, count, seed):
        drawn_on, generated = block[1::2], block[0::2]  # every second one, as `lessons` has it
        parts.append(sampled(network, generated, generator))
        parts.append(sampled(network, drawn_on, generator, plain=plain))
    cells = joined(parts, generator)
    log.info("seed %d: %d cells of %d lessons", seed, len(cells.kinds), count)
    if prior_l2 is None:
        return fit_head(cells)
    return fit_head(cells, l2=prior_l2, prior=(network.weight.cpu().clone(), network.bias.item()))


def lessons(surfaces: Sequence[Surface], first: int, count: int, seed: int) -> Iterator[list[Lesson]]:
    """Blocks of lessons `first` to `first + count`, drawn by all cores; those of odd numbers onto `surfaces`."""
    for start in range(first, first + count, BLOCK):
        indices = range(start, min(start + BLOCK, first + count))
        tasks = [(_surface(surfaces, index), index) for index in indices]
        yield in_processes(partial(_lesson, seed), tasks, "drawing", workers=None)


def _surface(surfaces: Sequence[Surface], index: int) -> Surface | None:
    return surfaces[(index * NEARLY_PRIME) % len(surfaces)] if surfaces and index % 2 else None


def _lesson(seed: int, task: tuple[Surface | None, int]) -> Lesson:
    return lesson(task[0], seed, task[1])


def cell_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """The levels of `level` and `small_level` that give the highest F1 of cells, with SLACK_CELLS of tolerance."""
    drawn = [_drawn(each) for each in held_out]
    found = {}
    for name, small in (("level", False), ("small_level", True)):
        maps = [
            reader.above_median(reader.prepared_as(each.image, small=small), small=small).numpy() for each in held_out
        ]
        scores = [_f1([followed_cells(each, level) for each in maps], drawn) for level in LEVELS]
        found[name] = float(LEVELS[int(np.argmax(scores))])
        log.info("%s %.1f: F1 of cells %.3f on lessons that were held out", name, found[name], max(scores))
    return found


def _drawn(one: Lesson) -> np.ndarray:
    return masked_cells((one.cover > COVERED) & (one.strength > VISIBLE))


def _f1(found: Sequence[np.ndarray], drawn: Sequence[np.ndarray]) -> float:
    return total(counted_cells(*pair, tolerance=SLACK_CELLS) for pair in zip(found, drawn, strict=True)).f1


def patch_levels(reader: CrackMapReader, held_out: Sequence[Lesson]) -> dict[str, float]:
    """Level and scale of the score of a patch: logistic regression of whether a lesson has a visible crack."""
    scale = Scale(LESSON_PX)
    scores = torch.tensor([patch_score(reader.logits(reader.scaled(each.image, scale))) for each in held_out])
    targets = torch.tensor([float(_drawn(each).any()) for each in held_out])
    start = torch.tensor(START)
    w = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([w], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        entropy = functional.binary_cross_entropy_with_logits(scores * w[0] + w[1], targets)
        value = entropy + PULL * ((w - start) ** 2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    slope, offset = max(w[0].item(), LEAST_SLOPE), w[1].item()
    return {"patch_level": -offset / slope, "patch_scale": 1 / slope}
