"""Networks in the self-contained form in which they are exported: pictures of any size in, probabilities out."""

import copy
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.engines.cell_maps import STRIDE_PX
from crack_lightning.engines.folded import Pixels, fold_batchnorms
from crack_lightning.engines.resizing import resize
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CELL_PX, CrackMap, Network, resized_to_first
from crack_lightning.models.shape_correction import (
    HIDDEN,
    SCALES,
    coarse_view,
    corrected_logits,
)

INPUT, PROBABILITIES, CRACK_MAP, LOGITS = "images", "probabilities", "crack_map", "logits"
BATCH, HEIGHT, WIDTH = "batch", "height/4", "width/4"  # names of axes that may have any size
Axes = dict[str, dict[int, str]]
MARGIN_PX = 32  # width of the reflection added at every edge, so that the network's zero padding affects no cell
MIRRORED_PX = 2 * MARGIN_PX  # if the shorter side is no larger than this, reflections repeat the last pixel
SHARPENED = 0.5  # a cell loses this share of its difference to the highest cell near it
NEAR_CELLS = 3  # "near" in either direction


class PortableClassifier(nn.Module):
    """Pictures (N, 3, h, w) uint8 RGB to calibrated probabilities (N, 2), in the order of the class names."""

    outputs = (PROBABILITIES,)
    axes: ClassVar[Axes] = {PROBABILITIES: {0: BATCH}}

    def __init__(self, classifier: CrackClassifier) -> None:
        super().__init__()
        self.size, self.temperature = classifier.image_size, classifier.decision.temperature
        self.pixels, self.features = Pixels(classifier), fold_batchnorms(classifier.features)
        self.head = copy.deepcopy(classifier.head)

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.features(self.pixels(resize(images, self.size))).mean(dim=(2, 3))
        return (self.head(pooled) / self.temperature).softmax(dim=1)


class PortableMap(nn.Module):
    """Pictures (N, 3, h, w) uint8 RGB to probabilities of cells (N, h/4, w/4) and logits (N, 2, h/4, w/4).

    Sides of maps are rounded up.
    For the probabilities, a picture's logits are taken above its median and sharpened; they are 0.5 at the network's
    `level`. The two logits are those of the head for cells and of the head for patches, for
    programs that assemble a photograph from tiles.
    """

    outputs = (CRACK_MAP, LOGITS)
    axes: ClassVar[Axes] = {CRACK_MAP: {0: BATCH, 1: HEIGHT, 2: WIDTH}, LOGITS: {0: BATCH, 2: HEIGHT, 3: WIDTH}}

    def __init__(self, network: CrackMap) -> None:
        super().__init__()
        self.pixels = Pixels(network)
        self.blocks = nn.ModuleList()
        self.averaged: list[bool] = []
        start = 0
        for tap in network.taps:
            self.blocks.append(fold_batchnorms(nn.Sequential(*list(network.features)[start : tap.child + 1])))
            self.averaged.append(tap.stride < CELL_PX)
            start = tap.child + 1
        # The rows: the head for patches, the head for cells, the projections of the correction.
        rows = torch.cat([network.patch_weight[None], network.rows()])
        for index, part in enumerate(network.split(rows)):
            self.register_buffer(f"rows_{index}", part)
        self.register_buffer("bias", network.bias.clone())
        self.correction, self.level = network.correction, network.level

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pictures = [images]
        while len(pictures) < len(SCALES):
            pictures.append(_halved(pictures[-1]))
        maps = [self._maps(picture) for picture in pictures]
        cells, patches = self._heads()
        of_cells, of_patches = (self._logits([part[:, used] for part in maps]) for used in (cells, patches))
        return (_above_median(of_cells) - self.level).sigmoid(), torch.stack([of_cells, of_patches], dim=1)

    def _heads(self) -> tuple[list[int], list[int]]:
        """Returns the rows of the head for cells and of that for patches, each followed by those of the correction."""
        projections = [] if self.correction is None else list(range(2, 2 + HIDDEN))
        return [1, *projections], [0, *projections]

    def _logits(self, maps: Sequence[Tensor]) -> Tensor:
        fine, half, quarter = maps
        coarse = coarse_view(half, quarter, self.correction)
        return corrected_logits(fine, coarse, self.correction)[0] + self.get_buffer("bias")

    def _maps(self, images: Tensor) -> Tensor:
        """Returns the maps (N, rows, h/4, w/4) of pictures at one scale."""
        height, width = images.shape[2], images.shape[3]
        maps, sums = self.pixels(_with_margin(images)), []
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            tapped = functional.avg_pool2d(maps, 2) if self.averaged[index] else maps
            sums.append(functional.conv2d(tapped, self.get_buffer(f"rows_{index}")))
        whole = torch.stack(resized_to_first(sums)).sum(dim=0)
        return whole.index_select(2, _cell_indices(height)).index_select(3, _cell_indices(width))


def portable(network: Network) -> PortableClassifier | PortableMap:
    """Returns a copy of a network in the form that is exported, on the CPU and in evaluation mode."""
    network = copy.deepcopy(network).cpu().eval()
    exportable = PortableMap(network) if isinstance(network, CrackMap) else PortableClassifier(network)
    return exportable.eval()


def _halved(images: Tensor) -> Tensor:
    """Returns uint8 pictures at half the size as `PIL.Image.reduce` does: rounded up, a last odd pixel stands alone."""
    total = images.to(torch.int32)
    for axis in (2, 3):
        side = images.shape[axis]
        first = torch.arange((side + 1) // 2) * 2
        total = total.index_select(axis, first) + total.index_select(axis, (first + 1).clamp(max=side - 1))
    return torch.div(total + 2, 4, rounding_mode="trunc").to(torch.uint8)


def _cell_indices(side: int) -> Tensor:
    """Returns the indices of a side's cells between its margins; a slice would make exporters check its length."""
    return torch.arange((side + CELL_PX - 1) // CELL_PX) + MARGIN_PX // CELL_PX


def _with_margin(images: Tensor) -> Tensor:
    """Reflects pictures by MARGIN_PX beyond every edge, and at the right and bottom on to a multiple of STRIDE_PX."""
    height, width = images.shape[2], images.shape[3]
    short = torch.minimum(_traced_length(height), _traced_length(width)) <= MIRRORED_PX
    return images.index_select(2, _pixel_indices(height, short)).index_select(3, _pixel_indices(width, short))


def _pixel_indices(side: int, short: Tensor) -> Tensor:
    """Returns the index of the picture's pixel that is shown at each pixel of a side with its margins."""
    whole = (side + STRIDE_PX - 1) // STRIDE_PX * STRIDE_PX
    position, count = torch.arange(whole + 2 * MARGIN_PX) - MARGIN_PX, _traced_length(side)
    period = torch.where(short, 2 * count, (2 * count - 2).clamp(min=1))
    within = torch.remainder(position, period)
    mirrored = torch.where(short, 2 * count - 1 - within, 2 * count - 2 - within)
    return torch.where(within < count, within, mirrored)


def _traced_length(side: int) -> Tensor:
    """Returns `side` as a tensor that exporters trace, so that it is not a constant in the file."""
    return torch.ones(side, dtype=torch.int64).sum()


def _above_median(logits: Tensor) -> Tensor:
    """Returns logits (N, h, w) minus the median of their picture, sharpened."""
    flat = logits.flatten(1)
    count = _traced_length(flat.shape[1])
    middle = (count - 2 + count % 2) // 2  # divisible by 2, because OpenVINO rounds up
    medians = flat.sort(dim=1).values.index_select(1, middle[None])
    above = logits - medians[:, :, None]
    highest = functional.max_pool2d(above[:, None], 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)[:, 0]
    return above - SHARPENED * (highest - above)
