"""Trains the judge of marks of the package's map: on marks of drawn scenes and of labelled tiles (package_map.py).

A mark of a scene is true where most of its line runs along a drawn crack. A mark of a sound tile is false; of a cracked
tile the longest one is taken for its crack, and the others are left out.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from crack_lightning.data.images.reading import read_image
from crack_lightning.data.synthetic.lessons import Lesson
from crack_lightning.features.cells import COVERED, VISIBLE
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.mark_traits import MarkTraits
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.measurement.cracks import Crack
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.mark_judge import MarkJudge
from crack_lightning.system.progress import track
from crack_lightning.training.logistic import fit_logistic

log = logging.getLogger(__name__)

THRESHOLD = 0.3  # at which marks are read: more of them, and more that are false, than at the default
REACH_PX = 8.0  # a point of a mark this near to a crack is on it
L2 = 0.02

Marks = tuple[Tensor, Tensor]  # traits (n, k) and whether each is a crack (n,)


def marks_of(reader: CrackMapReader, image: Image.Image) -> list[tuple[Crack, np.ndarray]]:
    """Returns the marks of a picture at THRESHOLD, each with its traits."""
    heat, grey = reader.heat(reader.scaled(image, WindowScale(max(image.size)))), np.asarray(image.convert("L"))
    if heat.seen is None:
        raise ValueError("a map without a correction")
    describing = MarkTraits(heat, heat.seen, grey)
    return [(crack, describing.of(crack.lines)) for crack in cracks_of(heat, grey, THRESHOLD)]


def scene_marks(reader: CrackMapReader, scenes: Iterator[list[Lesson]]) -> Marks:
    traits, true = list[np.ndarray](), list[bool]()
    for block in scenes:
        for drawn in block:
            away = ndimage.distance_transform_edt(~((drawn.cover > COVERED) & (drawn.strength > VISIBLE)))
            for crack, values in marks_of(reader, drawn.image):
                traits.append(values)
                true.append(is_true(crack, away))
    return _tensors(traits, true)


def is_true(crack: Crack, away_px: np.ndarray) -> bool:
    """Returns whether most of a mark lies within REACH_PX of cracks; `away_px` (h, w) is the distance from them."""
    x, y = np.concatenate(list(crack.lines)).round().astype(int).T
    near = away_px[y.clip(0, len(away_px) - 1), x.clip(0, away_px.shape[1] - 1)] <= REACH_PX
    return bool(near.mean() > 0.5)


def tile_marks(reader: CrackMapReader, sound: Sequence[Path], cracked: Sequence[Path]) -> Marks:
    traits, true = list[np.ndarray](), list[bool]()
    paths = [(path, False) for path in sound] + [(path, True) for path in cracked]
    for path, is_cracked in track(paths, "marking tiles", total=len(paths), unit="tiles"):
        marks = marks_of(reader, read_image(path))
        for _, values in marks[:1] if is_cracked else marks:
            traits.append(values)
            true.append(is_cracked)
    return _tensors(traits, true)


def train_judge(network: CrackMap, sets: Sequence[Marks]) -> None:
    """Fits the judge of `network` to sets of marks, which have equal weights."""
    traits, true = (torch.cat(parts) for parts in zip(*sets, strict=True))
    weights = torch.cat([torch.full((len(labels),), 1 / len(labels) / len(sets)) for _, labels in sets])
    judge = MarkJudge()
    judge.mean.copy_(traits.mean(dim=0))
    judge.deviation.copy_(traits.std(dim=0) + 1e-6)
    x = judge.standardised(traits)
    pull = torch.cat([torch.full((x.shape[1],), L2), torch.zeros(1)])
    fitted = fit_logistic(x, true, weights, start=torch.zeros(x.shape[1] + 1), pull=pull)
    judge.weight.copy_(fitted[:-1])
    judge.bias.copy_(fitted[-1])
    network.judge = judge
    for labels in (marks[1] for marks in sets):
        log.info("%d marks, %d of them cracks", len(labels), int(labels.sum()))


def _tensors(traits: Sequence[np.ndarray], true: Sequence[bool]) -> Marks:
    return torch.from_numpy(np.stack(traits)).float(), torch.tensor(true, dtype=torch.float32)
