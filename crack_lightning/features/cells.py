"""Cells of drawn pictures as a linear head learns from them: joined features, what is there, how much it counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.data.synthetic.lessons import Lesson
from crack_lightning.models.crack_map import CELL_PX, CrackMap

CRACK, BESIDE, CLUTTER, PLAIN = range(4)
MOST = (120, 50, 160, 100)  # cells of each kind from one picture
EDGE_CELLS = 6  # left out along the border, where the network sees its own padding
COVERED, BARE = 0.4, 0.05  # of a cell's most covered pixel: a crack from here on; none up to here
VISIBLE = 0.08  # contrast of a drawn crack below which nobody could see it
BATCH = 8
MOST_CELLS = 600_000  # of 552 features in 16 bits: 660 MB


@dataclass(frozen=True)
class Cells:
    """Of n cells: `features` (n, channels) float16, `kinds` (n,) CRACK to PLAIN, `thin` (n,): of a picture whose cracks
    are thin."""

    features: Tensor
    kinds: Tensor
    thin: Tensor


def joined(parts: Sequence[Cells], generator: torch.Generator, *, most: int = MOST_CELLS) -> Cells:
    """All of these in random order, `most` of them."""
    features, kinds, thin = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("features", "kinds", "thin")
    )
    order = torch.randperm(len(kinds), generator=generator)[:most]
    return Cells(features[order], kinds[order], thin[order])


@torch.no_grad()
def sampled(
    network: CrackMap,
    lessons: Iterable[Lesson],
    generator: torch.Generator,
    *,
    plain: bool = True,
    centred: bool = False,
) -> Cells:
    """Some cells of each kind of every lesson; without `plain`, none where nothing was drawn; `centred`: their features
    less the mean of their lesson's."""
    parts, batch = [], list[Lesson]()
    for lesson in lessons:
        batch.append(lesson)
        if len(batch) == BATCH:
            parts += _of_batch(network, batch, generator, centred=centred)
            batch = []
    if batch:
        parts += _of_batch(network, batch, generator, centred=centred)
    cells = joined(parts, generator)
    if plain:
        return cells
    kept = cells.kinds != PLAIN
    return Cells(cells.features[kept], cells.kinds[kept], cells.thin[kept])


def _of_batch(
    network: CrackMap, lessons: Sequence[Lesson], generator: torch.Generator, *, centred: bool
) -> list[Cells]:
    pictures = torch.from_numpy(np.stack([np.asarray(lesson.image) for lesson in lessons])).permute(0, 3, 1, 2)
    maps = network.cells(pictures.to(network.pixel_mean.device)).cpu()
    if centred:
        maps = maps - maps.mean(dim=(2, 3), keepdim=True)
    return [_of_lesson(features, lesson, generator) for features, lesson in zip(maps, lessons, strict=True)]


def _of_lesson(features: Tensor, lesson: Lesson, generator: torch.Generator) -> Cells:
    inside = torch.zeros(features.shape[1:], dtype=torch.bool)
    inside[EDGE_CELLS:-EDGE_CELLS, EDGE_CELLS:-EDGE_CELLS] = True
    kinds = [mask & inside for mask in kind_masks(lesson)]
    return chosen(features, kinds, generator, most=MOST, thin=lesson.thin)


def chosen(
    features: Tensor, kinds: Sequence[Tensor], generator: torch.Generator, *, most: Sequence[int], thin: bool
) -> Cells:
    """Of a picture's cells (channels, h, w), as many as `most` says at random places of each kind (h, w) bool."""
    rows, numbers = [], []
    for kind, (mask, count) in enumerate(zip(kinds, most, strict=True)):
        places = mask.flatten().nonzero().flatten()
        places = places[torch.randperm(len(places), generator=generator)[:count]]
        rows.append(features.flatten(1)[:, places].T.half())
        numbers.append(torch.full((len(places),), kind))
    of_kinds = torch.cat(numbers)
    return Cells(torch.cat(rows), of_kinds, torch.full_like(of_kinds, thin, dtype=torch.bool))


def kind_masks(lesson: Lesson) -> list[Tensor]:
    """Where the cells (h/4, w/4) of each kind lie; those that a crack hardly touches are of none."""
    cover, contrast, clutter = (_highest(each) for each in (lesson.cover, lesson.strength, lesson.clutter))
    near = functional.max_pool2d(cover[None, None], 3, 1, 1)[0, 0]
    bare = cover < BARE
    far = bare & (near < BARE)
    crack = (cover > COVERED) & (contrast > VISIBLE)
    return [crack, bare & (near > COVERED), far & (clutter > 0), far & (clutter == 0)]


def _highest(values: np.ndarray) -> Tensor:
    """Of pixels (h, w), the highest of each cell (h/4, w/4)."""
    return functional.max_pool2d(torch.from_numpy(values).float()[None, None], CELL_PX)[0, 0]
