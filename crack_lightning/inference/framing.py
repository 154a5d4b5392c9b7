"""Prepares photographs for the crack map: scales, and the reflection beyond every edge."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image
from torch import Tensor

from crack_lightning.engines.cell_maps import STRIDE_PX
from crack_lightning.engines.portable import MARGIN_PX
from crack_lightning.models.crack_map import CELL_PX
from crack_lightning.models.shape_correction import SCALES

Array = np.ndarray


def scales_of(image: Image.Image) -> Sequence["Framed"]:
    """Returns an upright RGB picture at each of SCALES, framed; sides are rounded up."""
    pictures = [image]
    while len(pictures) < len(SCALES):
        pictures.append(pictures[-1].reduce(2))
    return [Framed(np.asarray(picture)) for picture in pictures]


def zoomed(image: Image.Image, factor: float) -> Image.Image:
    """Returns an RGB picture at `factor` times its size."""
    if factor == 1:
        return image
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BILINEAR if factor > 1 else Image.Resampling.BOX)


class Framed:
    """A picture (h, w, 3) uint8, reflected by MARGIN_PX beyond every edge.

    On the right and below, it is reflected further, up to a multiple of STRIDE_PX. Only requested parts are computed.
    """

    def __init__(self, pixels: Array) -> None:
        self.size_hw = pixels.shape[:2]
        mode: Literal["reflect", "symmetric"] = "reflect" if min(pixels.shape[:2]) > 2 * MARGIN_PX else "symmetric"
        self._pixels = pixels
        self._rows, self._columns = (
            np.pad(np.arange(side), (MARGIN_PX, MARGIN_PX + -side % STRIDE_PX), mode=mode) for side in pixels.shape[:2]
        )

    @property
    def width(self) -> int:
        """Returns the width including the reflection."""
        return len(self._columns)

    @property
    def height(self) -> int:
        """Returns the height including the reflection."""
        return len(self._rows)

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Returns the part within `box`: left, top, right, bottom."""
        left, top, right, bottom = box
        return Image.fromarray(self._pixels[self._rows[top:bottom, None], self._columns[None, left:right]])


def without_margin(maps: Tensor, picture: Framed) -> Tensor:
    """Returns the maps (..., h/4, w/4) of a framed picture without the cells of its margin."""
    rows, columns = (-(-side // CELL_PX) for side in picture.size_hw)
    first = MARGIN_PX // CELL_PX
    return maps[..., first : first + rows, first : first + columns]
