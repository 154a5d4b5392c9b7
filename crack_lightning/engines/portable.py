"""Networks as exports contain them, complete in themselves: pictures of any size in, probabilities out."""

import copy
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.engines.cell_maps import STRIDE_PX
from crack_lightning.engines.folded import Pixels, folded
from crack_lightning.engines.resizing import resized
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CELL_PX, CrackMap, Network, grown

INPUT, PROBABILITIES, CRACK_MAP, LOGITS = "images", "probabilities", "crack_map", "logits"
BATCH, HEIGHT, WIDTH = "batch", "height/4", "width/4"  # axes of any size
Axes = dict[str, dict[int, str]]
MARGIN_PX = 32  # reflected beyond every edge, so that cells near it do not see the zeros of the network's padding
MIRRORED_PX = 2 * MARGIN_PX  # up to this shorter side, reflections repeat the last pixel
SHARPENED = 0.5  # share of its distance to the highest cell near it that a cell loses
NEAR_CELLS = 3


class PortableClassifier(nn.Module):
    """Pictures (N, 3, h, w) uint8 RGB to calibrated probabilities (N, 2), in the order of the class names."""

    outputs = (PROBABILITIES,)
    axes: ClassVar[Axes] = {PROBABILITIES: {0: BATCH}}

    def __init__(self, classifier: CrackClassifier) -> None:
        super().__init__()
        self.size, self.temperature = classifier.image_size, classifier.decision.temperature
        self.pixels, self.features = Pixels(classifier), folded(classifier.features)
        self.head = copy.deepcopy(classifier.head)

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.features(self.pixels(resized(images, self.size))).mean(dim=(2, 3))
        return (self.head(pooled) / self.temperature).softmax(dim=1)


class PortableMap(nn.Module):
    """Pictures (N, 3, h, w) uint8 RGB to probabilities of cells (N, h/4, w/4), rounded up, and logits (N, 2, h/4, w/4).

    The probabilities judge each picture by itself at its own size: above its median, sharpened, 0.5 at the level of a
    large photograph. The logits are from the head that marks cells and from the one that judges patches, for programs
    that put a photograph together from tiles.
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
            self.blocks.append(folded(nn.Sequential(*list(network.features)[start : tap.child + 1])))
            self.averaged.append(tap.stride < CELL_PX)
            start = tap.child + 1
        pairs = zip(network.tap_weights(), network.tap_weights(network.patch_weight), strict=True)
        for number, pair in enumerate(pairs):
            self.register_buffer(f"head_{number}", torch.cat(pair))
        self.register_buffer("bias", network.bias.clone())
        self.level = network.level

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[2], images.shape[3]
        logits = self._logits(_with_margin(images))
        logits = logits.index_select(2, _own_cells(height)).index_select(3, _own_cells(width))
        return (_above_median(logits[:, 0]) - self.level).sigmoid(), logits

    def _logits(self, pictures: Tensor) -> Tensor:
        maps, sums = self.pixels(pictures), []
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            tapped = functional.avg_pool2d(maps, 2) if self.averaged[number] else maps
            sums.append(functional.conv2d(tapped, self.get_buffer(f"head_{number}")))
        return torch.stack(grown(sums)).sum(dim=0) + self.get_buffer("bias")


def portable(network: Network) -> PortableClassifier | PortableMap:
    """Returns the form in which a network is exported, on the CPU and in evaluation mode."""
    network = copy.deepcopy(network).cpu().eval()
    exportable = PortableMap(network) if isinstance(network, CrackMap) else PortableClassifier(network)
    return exportable.eval()


def _own_cells(side: int) -> Tensor:
    """Returns indices of the cells of `side` pixels behind the margin; exporters would check a slice's length."""
    return torch.arange((side + CELL_PX - 1) // CELL_PX) + MARGIN_PX // CELL_PX


def _with_margin(images: Tensor) -> Tensor:
    """Reflects pictures by MARGIN_PX beyond every edge, then right and below to whole cells of the deepest tap."""
    height, width = images.shape[2], images.shape[3]
    short = torch.minimum(_count(height), _count(width)) <= MIRRORED_PX
    return images.index_select(2, _places(height, short)).index_select(3, _places(width, short))


def _places(side: int, short: Tensor) -> Tensor:
    """Returns which of `side` pixels stands at each place, the margins included."""
    whole = (side + STRIDE_PX - 1) // STRIDE_PX * STRIDE_PX
    place, count = torch.arange(whole + 2 * MARGIN_PX) - MARGIN_PX, _count(side)
    period = torch.where(short, 2 * count, (2 * count - 2).clamp(min=1))
    within = torch.remainder(place, period)
    mirrored = torch.where(short, 2 * count - 1 - within, 2 * count - 2 - within)
    return torch.where(within < count, within, mirrored)


def _count(side: int) -> Tensor:
    """Returns `side` as a tensor, which exporters follow."""
    return torch.ones(side, dtype=torch.int64).sum()


def _above_median(logits: Tensor) -> Tensor:
    """Returns logits (N, h, w) above each picture's median, sharpened."""
    flat = logits.flatten(1)
    count = _count(flat.shape[1])
    middle = (count - 2 + count % 2) // 2  # without a remainder: OpenVINO rounds it up
    medians = flat.sort(dim=1).values.index_select(1, middle[None])
    above = logits - medians[:, :, None]
    highest = functional.max_pool2d(above[:, None], 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)[:, 0]
    return above - SHARPENED * (highest - above)
