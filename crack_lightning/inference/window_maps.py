"""Classifies every window of a whole photograph in one pass over it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crack_lightning.engines.maps import LogitMapper
from crack_lightning.inference.geometry import Grid, MapShape, grid_of
from crack_lightning.inference.tiles import logit_map
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.vision import pil_to_tensor

CROPS_PER_BATCH = 64  # windows in a batch if each is cut out


@torch.no_grad()
def shape_of_map(classifier: CrackClassifier) -> MapShape:
    """Finds the shape of a backbone's feature map by computing some."""
    device = classifier.pixel_mean.device

    def cells(side: int) -> int:
        return classifier.feature_map(torch.zeros(1, 3, side, side, dtype=torch.uint8, device=device)).shape[-1]

    return MapShape(320 // cells(320), cells(classifier.image_size), whole_cells=cells(321) == cells(320))


@dataclass(frozen=True)
class Scaled:
    """An RGB photograph at the scale that a classifier was trained at, and the grid of its windows."""

    picture: Image.Image
    grid: Grid


def to_scale(image: Image.Image, *, window_px: float, image_size: int, shape: MapShape) -> Scaled:
    """Scales an upright RGB photograph so that `window_px` of its pixels become `image_size`, as in training.

    It is scaled as a whole, since parts would be rounded differently.
    """
    grid = grid_of((image.height, image.width), window_px=window_px, image_size=image_size, shape=shape)
    height, width = grid.scaled_hw
    return Scaled(image.resize((width, height), Image.Resampling.BILINEAR), grid)


def window_logits(scaled: Scaled, mapper: LogitMapper, *, memory_mb: float) -> Tensor:
    """Returns the logits (2, rows, columns) of all windows, computed in `memory_mb`.

    They are the means of the class activation map over the cells of each window: what the network would return for the
    window's crop if the crop continued beyond its edges.
    """
    whole, count = logit_map(mapper, scaled.picture, memory_mb=memory_mb), scaled.grid.window_cells
    cells = (min(count, whole.shape[2]), min(count, whole.shape[3]))
    return functional.avg_pool2d(whole, cells, stride=1)[0]


def window_logits_by_crops(scaled: Scaled, predict: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the logits (2, rows, columns) of all windows, each cut out: for backbones that need a picture as a whole.

    It also serves for comparison. `predict` takes uint8 (N, 3, image_size, image_size) and returns logits (N, 2).
    """
    grid, side, logits = scaled.grid, scaled.grid.image_size, []
    rows, columns = grid.windows_hw
    for row in range(rows):
        top = min(row * grid.stride, grid.scaled_hw[0] - side)
        strip = pil_to_tensor(scaled.picture.crop((0, top, scaled.picture.width, top + side)))
        lefts = [min(column * grid.stride, grid.scaled_hw[1] - side) for column in range(columns)]
        for start in range(0, columns, CROPS_PER_BATCH):
            crops = torch.stack([strip[:, :, left : left + side] for left in lefts[start : start + CROPS_PER_BATCH]])
            logits.append(predict(crops))
    return torch.cat(logits).T.reshape(-1, rows, columns)


def probability_map(classifier: CrackClassifier, logits: Tensor) -> Tensor:
    """Returns calibrated probabilities of the positive class (rows, columns) from logits (2, rows, columns)."""
    flat = classifier.positive_probabilities(logits.flatten(1).T)
    return flat.reshape(logits.shape[1:])
