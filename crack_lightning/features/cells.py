"""Samples cells of drawn pictures for a linear head to learn from: joined features, kind, thinness of the crack."""

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
COVERED, BARE = 0.4, 0.05  # cover of a cell's most covered pixel: a crack above; no crack below
VISIBLE = 0.08  # contrast of a drawn crack below which nobody could see it
BATCH = 8
MOST_CELLS = 600_000  # of 552 features in 16 bits: 660 MB


@dataclass(frozen=True)
class Cells:
    """n cells: `features` (n, channels) float16, `kinds` (n,) CRACK to PLAIN, `thin` (n,): from a picture whose cracks
    are thin."""

    features: Tensor
    kinds: Tensor
    thin: Tensor


def joined(parts: Sequence[Cells], generator: torch.Generator, *, most: int = MOST_CELLS) -> Cells:
    """Returns the cells of all `parts` in random order, at most `most` of them."""
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
    """Returns some cells of each kind from every lesson; without `plain`, none of the PLAIN kind; with `centred`,
    features less their lesson's mean."""
    parts, batch = [], list[Lesson]()
    for lesson in lessons:
        batch.append(lesson)
        if len(batch) == BATCH:
            parts += _batch_cells(network, batch, generator, centred=centred)
            batch = []
    if batch:
        parts += _batch_cells(network, batch, generator, centred=centred)
    cells = joined(parts, generator)
    if plain:
        return cells
    kept = cells.kinds != PLAIN
    return Cells(cells.features[kept], cells.kinds[kept], cells.thin[kept])


def _batch_cells(
    network: CrackMap, lessons: Sequence[Lesson], generator: torch.Generator, *, centred: bool
) -> list[Cells]:
    pictures = torch.from_numpy(np.stack([np.asarray(lesson.image) for lesson in lessons])).permute(0, 3, 1, 2)
    maps = network.cells(pictures.to(network.pixel_mean.device)).cpu()
    if centred:
        maps = maps - maps.mean(dim=(2, 3), keepdim=True)
    return [_lesson_cells(features, lesson, generator) for features, lesson in zip(maps, lessons, strict=True)]


def _lesson_cells(features: Tensor, lesson: Lesson, generator: torch.Generator) -> Cells:
    inside = torch.zeros(features.shape[1:], dtype=torch.bool)
    inside[EDGE_CELLS:-EDGE_CELLS, EDGE_CELLS:-EDGE_CELLS] = True
    kinds = [mask & inside for mask in kind_masks(lesson)]
    return chosen(features, kinds, generator, most=MOST, thin=lesson.thin)


def chosen(
    features: Tensor, kinds: Sequence[Tensor], generator: torch.Generator, *, most: Sequence[int], thin: bool
) -> Cells:
    """Returns cells of a picture (channels, h, w) at random places of each kind (h, w) bool, at most `most` of each."""
    rows, numbers = [], []
    for kind, (mask, count) in enumerate(zip(kinds, most, strict=True)):
        places = mask.flatten().nonzero().flatten()
        places = places[torch.randperm(len(places), generator=generator)[:count]]
        rows.append(features.flatten(1)[:, places].T.half())
        numbers.append(torch.full((len(places),), kind))
    of_kinds = torch.cat(numbers)
    return Cells(torch.cat(rows), of_kinds, torch.full_like(of_kinds, thin, dtype=torch.bool))


def kind_masks(lesson: Lesson) -> list[Tensor]:
    """Returns masks (h/4, w/4) of the cells of each kind; cells that a crack hardly touches are in none."""
    cover, contrast, clutter = (_highest(pixels) for pixels in (lesson.cover, lesson.strength, lesson.clutter))
    near = functional.max_pool2d(cover[None, None], 3, 1, 1)[0, 0]
    bare = cover < BARE
    far = bare & (near < BARE)
    crack = (cover > COVERED) & (contrast > VISIBLE)
    return [crack, bare & (near > COVERED), far & (clutter > 0), far & (clutter == 0)]


def _highest(values: np.ndarray) -> Tensor:
    """Returns the highest pixel (h, w) of each cell (h/4, w/4)."""
    return functional.max_pool2d(torch.from_numpy(values).float()[None, None], CELL_PX)[0, 0]
