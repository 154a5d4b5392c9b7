"""Applies the crack-map network to whole photographs, at three scales that are joined."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.engines.cell_maps import crack_mapper, unfold_maps
from crack_lightning.engines.portable import SHARPENED
from crack_lightning.inference.framing import Framed, scales_of, without_margin, zoomed
from crack_lightning.inference.grouping import sharpened
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.mark_traits import seen_of
from crack_lightning.inference.photographs import MB_PER_CORE, WindowScale
from crack_lightning.inference.tiles import logit_map
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.models.shape_correction import (
    COARSER_MARGIN,
    REACH_CELLS,
    CoarseView,
    coarse_view,
    corrected_logits,
    enlarged,
)
from crack_lightning.system.processes import cores

BAND_CELLS = 256  # rows of cells whose logits are joined at once, an even number: the correction needs 1 kB for a cell


@dataclass(frozen=True)
class Prepared:
    """A photograph ready for the network.

    `pictures`: it is framed at each of SCALES. `size_hw`: its size. `photograph_hw`: its size before it was resized to
    the scale of training. `tile_px`: the side of a tile in the tables.
    """

    pictures: Sequence[Framed]
    size_hw: tuple[int, int]
    photograph_hw: tuple[int, int]
    tile_px: float


class CrackMapReader:
    """Computes crack maps of photographs by one network, which is exported or folded once.

    With `patches` it computes the maps that classify patches. `memory_mb` limits the memory of the layers; None chooses
    a limit that suits the machine.
    """

    def __init__(
        self, network: CrackMap, *, engine: str, memory_mb: float | None = None, patches: bool = False
    ) -> None:
        self.classifier, self.memory_mb = network, memory_mb or MB_PER_CORE * cores()
        self._rows = network.rows(network.patch_weight if patches else None)
        self._mapper = crack_mapper(network, engine, self._rows)
        self._correction = copy.deepcopy(network.correction)  # the network itself may be on a GPU
        if self._correction is not None:
            self._correction.cpu()

    def scaled(self, image: Image.Image, scale: WindowScale) -> Prepared:
        """Prepares an upright RGB photograph for `heat`, at `scale.zoom` times its size; each tile is a window."""
        prepared = self.prepared(zoomed(image, scale.zoom))
        return replace(prepared, photograph_hw=(image.height, image.width), tile_px=scale.window_px)

    def prepared(self, image: Image.Image) -> Prepared:
        """Prepares an upright RGB photograph at its own size."""
        size_hw = (image.height, image.width)
        return Prepared(scales_of(image), size_hw, size_hw, 0.0)

    def heat(self, prepared: Prepared) -> Heat:
        """Returns the heat map of a `scaled` photograph, with a probability for each cell of CELL_PX x CELL_PX."""
        logits, coarse, hidden = self._read(prepared, wants_hidden=True)
        probability = (_above_medians(logits, coarse) - self.classifier.level).sigmoid()
        sides = zip(probability.shape, prepared.photograph_hw, prepared.size_hw, strict=True)
        y, x = ((np.arange(count) + 0.5) * CELL_PX * original / resized for count, original, resized in sides)
        cell_px = CELL_PX * max(prepared.photograph_hw) / max(prepared.size_hw)
        heat = Heat(probability.numpy(), y, x, prepared.photograph_hw, cell_px, prepared.tile_px)
        return heat if hidden is None else replace(heat, seen=seen_of(heat, hidden.numpy()))

    def above_median(self, prepared: Prepared) -> Tensor:
        """Returns sharpened logits of cells (h/4, w/4), less their median: light and texture shift them all.

        Where half and quarter size both show more than full size does, less COARSER_MARGIN, they count.
        """
        return _above_medians(*self._read(prepared, wants_hidden=False)[:2])

    def logits(self, prepared: Prepared) -> Tensor:
        """Returns logits of cells (h/4, w/4), joined over the scales."""
        return self._read(prepared, wants_hidden=False)[0]

    @torch.no_grad()
    def _read(self, prepared: Prepared, *, wants_hidden: bool) -> tuple[Tensor, CoarseView, Tensor | None]:
        """Returns the logits, what coarser scales say, and, if wanted and there is a correction, its hidden maps
        (k, h/4, w/4) float16."""
        fine, half, quarter = (self._maps(picture) for picture in prepared.pictures)
        coarse = coarse_view(half, quarter, self._correction)
        bands, hidden_bands = list[Tensor](), list[Tensor]()
        for rows, counted in _bands(fine.shape[2]):
            view = coarse.cut(slice(rows.start // 2, -(-rows.stop // 2)))
            logits, hidden = corrected_logits(fine[:, :, rows], view, self._correction)
            bands.append(logits[0, counted])
            if wants_hidden and hidden is not None:
                hidden_bands.append(hidden[0, :, counted].half())
        whole = torch.cat(bands) + self.classifier.bias.item()
        return whole, coarse, torch.cat(hidden_bands, dim=1) if hidden_bands else None

    def _maps(self, picture: Framed) -> Tensor:
        """Returns the maps (1, k, h/4, w/4) of a framed picture for the rows, without the cells of its margin."""
        output = logit_map(self._mapper, picture, memory_mb=self.memory_mb)
        strides = [part.stride for part in self._mapper.parts]
        return without_margin(unfold_maps(output, strides, len(self._rows)), picture)


def _above_medians(logits: Tensor, coarse: CoarseView) -> Tensor:
    fine, half, quarter = (
        sharpened(scale - scale.median(), SHARPENED) for scale in (logits, coarse.logits[0, 0], coarse.coarsest[0, 0])
    )
    return fine.maximum(enlarged(half.minimum(enlarged(quarter, half)), fine) - COARSER_MARGIN)


def _bands(count: int) -> Iterator[tuple[slice, slice]]:
    """Yields bands of `count` rows of cells with the rows that they depend on, and which rows of a band count."""
    reach = REACH_CELLS + REACH_CELLS % 2
    for start in range(0, count, BAND_CELLS):
        first, end = max(0, start - reach), min(start + BAND_CELLS, count)
        yield slice(first, min(end + reach, count)), slice(start - first, end - first)
