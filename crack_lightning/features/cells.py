"""Samples cells of lessons (synthetic training pictures), from which the linear head of a crack map learns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.data.synthetic.lessons import Lesson
from crack_lightning.models.crack_map import CELL_PX, CrackMap

CRACK, BESIDE, CLUTTER, PLAIN = range(4)  # kinds of cells: in a crack, next to one, clutter, plain surface
MAX_CELLS_OF_KINDS = (120, 50, 160, 100)  # at most this many cells of each kind from one picture
EDGE_CELLS = 6  # width of the border that is left out, because the network sees its zero padding there
# Of the pixels of a cell, the one that a crack covers most decides: above COVERED a crack, below BARE none.
COVERED, BARE = 0.4, 0.05
VISIBLE = 0.08  # lowest contrast at which a synthetic crack can be seen
BATCH_PICTURES = 8
MAX_CELLS = 600_000  # 660 MB with 552 features of 16 bits


@dataclass(frozen=True)
class Cells:
    """A sample of n cells.

    `features` (n, channels) are float16. `kinds` (n,) are CRACK, BESIDE, CLUTTER or PLAIN. `thin` (n,) is true for
    cells from pictures with thin cracks.
    """

    features: Tensor
    kinds: Tensor
    thin: Tensor


def join_cells(parts: Sequence[Cells], generator: torch.Generator, *, most: int = MAX_CELLS) -> Cells:
    """Returns the cells of all `parts` in random order, at most `most` of them."""
    features, kinds, thin = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("features", "kinds", "thin")
    )
    order = torch.randperm(len(kinds), generator=generator)[:most]
    return Cells(features[order], kinds[order], thin[order])


@torch.no_grad()
def sample_cells(
    network: CrackMap,
    lessons: Iterable[Lesson],
    generator: torch.Generator,
) -> Cells:
    """Returns random cells of each kind from every lesson."""
    parts, batch = [], list[Lesson]()
    for lesson in lessons:
        batch.append(lesson)
        if len(batch) == BATCH_PICTURES:
            parts += _batch_cells(network, batch, generator)
            batch = []
    if batch:
        parts += _batch_cells(network, batch, generator)
    return join_cells(parts, generator)


def _batch_cells(network: CrackMap, lessons: Sequence[Lesson], generator: torch.Generator) -> list[Cells]:
    pictures = torch.from_numpy(np.stack([np.asarray(lesson.image) for lesson in lessons])).permute(0, 3, 1, 2)
    maps = network.cells(pictures.to(network.pixel_mean.device)).cpu()
    return [_lesson_cells(features, lesson, generator) for features, lesson in zip(maps, lessons, strict=True)]


def _lesson_cells(features: Tensor, lesson: Lesson, generator: torch.Generator) -> Cells:
    inside = torch.zeros(features.shape[1:], dtype=torch.bool)
    inside[EDGE_CELLS:-EDGE_CELLS, EDGE_CELLS:-EDGE_CELLS] = True
    kinds = [mask & inside for mask in kind_masks(lesson)]
    return pick_cells(features, kinds, generator, most=MAX_CELLS_OF_KINDS, thin=lesson.thin)


def pick_cells(
    features: Tensor, kinds: Sequence[Tensor], generator: torch.Generator, *, most: Sequence[int], thin: bool
) -> Cells:
    """Returns random cells of a picture's `features` (channels, h, w).

    `kinds` has a mask (h, w) for each kind, and `most` the largest number of its cells.
    """
    rows, kind_numbers = [], []
    for kind, (mask, count) in enumerate(zip(kinds, most, strict=True)):
        indices = mask.flatten().nonzero().flatten()
        indices = indices[torch.randperm(len(indices), generator=generator)[:count]]
        rows.append(features.flatten(1)[:, indices].T.half())
        kind_numbers.append(torch.full((len(indices),), kind))
    cell_kinds = torch.cat(kind_numbers)
    return Cells(torch.cat(rows), cell_kinds, torch.full_like(cell_kinds, thin, dtype=torch.bool))


def kind_masks(lesson: Lesson) -> list[Tensor]:
    """Returns the mask (h/4, w/4) of each kind of cells; cells that a crack hardly touches are in no mask."""
    cover, contrast, clutter = (_highest_in_cells(pixels) for pixels in (lesson.cover, lesson.strength, lesson.clutter))
    near = functional.max_pool2d(cover[None, None], 3, 1, 1)[0, 0]
    bare = cover < BARE
    far = bare & (near < BARE)
    crack = (cover > COVERED) & (contrast > VISIBLE)
    return [crack, bare & (near > COVERED), far & (clutter > 0), far & (clutter == 0)]


def _highest_in_cells(values: np.ndarray) -> Tensor:
    """Returns the highest value in each cell (h/4, w/4) of `values` (h, w)."""
    return functional.max_pool2d(torch.from_numpy(values).float()[None, None], CELL_PX)[0, 0]
