"""Applies a crack map to whole photographs: evens the light, uses several scales, sharpens, and drops short marks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from crack_lightning.engines.cell_maps import STRIDE_PX, crack_mapper, unfold_logits
from crack_lightning.engines.portable import MARGIN_PX, NEAR_CELLS, SHARPENED
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.photographs import MB_OF_A_CORE, WindowScale
from crack_lightning.inference.stretches import best_stretch
from crack_lightning.inference.tiles import logit_map
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.system.processes import cores

PAD_PX = MARGIN_PX
SMALL_PX = 800  # longer side up to which a picture may show cracks so wide that half its size shows them better
SMALL_SHARPENED = 1.0  # SHARPENED for a small picture
# Log-odds that half and quarter size, where both see a crack, must have more than the full size. Of 0, 0.25 and 0.5 and
# of the mean of the two, this finds the most of DeepCrack at three times its size at no cost on CrackSight.
COARSER = 0.25
LIGHT_POWER, LIGHT_RADIUS = 0.6, 0.04  # power of the local mean brightness; its radius, of the longer side
BAND_PX = 64  # rows that are lit at once
LIGHT_PX = 512  # longer side of the copy from which the brightness is taken
STEADIED_CELLS, CLAMPED = 13, 2.0  # of a stretch; log-odds, so that one cell does not make a whole stretch
LEAST_CELLS = 8  # of a crack, gaps of two cells bridged
LEAST_PX = LEAST_CELLS * CELL_PX  # of a photograph's longer side
RISE = 0.7  # log-odds above the threshold that one cell of a crack must reach: hysteresis (Canny 1986)

Array = np.ndarray


@dataclass(frozen=True)
class Prepared:
    """A photograph ready for the network: framed `pictures` of its size and, where it is small, of half of it, whose
    mean counts; for a large one `coarse` pictures of half and quarter size; its own size, the size of the photograph
    before it was scaled as in training, and the side of the tiles of its tables."""

    pictures: Sequence["Framed"]
    coarse: Sequence["Framed"]
    size_hw: tuple[int, int]
    photograph_hw: tuple[int, int]
    tile_px: float


class CrackMapReader:
    """A reader of photographs that makes crack maps by one network, which is exported or folded once.

    With `patches` they are the maps that patches are judged by. `memory_mb` is the memory that the layers may take;
    None is what suits the machine.
    """

    def __init__(
        self, network: CrackMap, *, engine: str, memory_mb: float | None = None, patches: bool = False
    ) -> None:
        self.classifier, self.memory_mb = network, memory_mb or MB_OF_A_CORE * cores()
        self._mapper = crack_mapper(network, engine, network.patch_weight if patches else None)

    def scaled(self, image: Image.Image, scale: WindowScale) -> Prepared:
        """Prepares an upright RGB photograph for `heat`, at `scale.zoom` times its size; a window is a table's tile."""
        resized = zoomed(image, scale.zoom)
        prepared = self.prepared_as(resized, small=max(resized.size) <= SMALL_PX)
        return replace(prepared, photograph_hw=(image.height, image.width), tile_px=scale.window_px)

    def prepared_as(self, image: Image.Image, *, small: bool) -> Prepared:
        """Prepares a photograph as `small` or not, whatever its size is."""
        size_hw = (image.height, image.width)
        if small:
            pictures = [image, image.reduce(2)] if min(image.size) > 1 else [image]
            return Prepared([Framed(np.asarray(picture)) for picture in pictures], [], size_hw, size_hw, 0.0)
        fine, *coarse = map(Framed, _lit_at(image, (1, 2, 4) if max(image.size) > SMALL_PX else (1,)))
        return Prepared([fine], coarse, size_hw, size_hw, 0.0)

    def heat(self, prepared: Prepared) -> Heat:
        """Returns the probabilities of cells of CELL_PX each way."""
        small = max(prepared.size_hw) <= SMALL_PX
        above = self.above_median(prepared, small=small)
        level = self.classifier.small_level if small else self.classifier.level
        probability = (above - level).sigmoid()
        sides = zip(above.shape, prepared.photograph_hw, prepared.size_hw, strict=True)
        y, x = ((np.arange(count) + 0.5) * CELL_PX * original / resized for count, original, resized in sides)
        cell_px = CELL_PX * max(prepared.photograph_hw) / max(prepared.size_hw)
        return Heat(probability.numpy(), y, x, prepared.photograph_hw, cell_px, prepared.tile_px)

    def above_median(self, prepared: Prepared, *, small: bool) -> Tensor:
        """Returns logits of cells (h/4, w/4) above the photograph's median, sharpened: light and texture shift all.

        A wide gap is a crack in a picture of half and of quarter the size: what both of them see counts, less COARSER.
        """
        if not prepared.coarse:
            return _above(self.logits(prepared), SMALL_SHARPENED if small else SHARPENED)
        fine, half, quarter = (
            scale_of(self._logits(picture), factor, prepared.size_hw, SHARPENED)
            for picture, factor in zip([*prepared.pictures, *prepared.coarse], (1, 2, 4), strict=True)
        )
        return fine.maximum(half.minimum(quarter) - COARSER)

    def logits_of(self, image: Image.Image) -> Tensor:
        """Returns logits of cells (h/4, w/4) of an RGB picture as it is: neither lit evenly nor at another scale."""
        return merged_scales([self._logits(Framed(np.asarray(image)))], (image.height, image.width))

    def logits(self, prepared: Prepared) -> Tensor:
        """Returns logits of cells (h/4, w/4); where there are two scales, their mean."""
        return merged_scales([self._logits(picture) for picture in prepared.pictures], prepared.size_hw)

    def _logits(self, picture: "Framed") -> Tensor:
        """Returns the logits of a framed picture's cells, those of the margin of PAD_PX too."""
        output = logit_map(self._mapper, picture, memory_mb=self.memory_mb)
        return unfold_logits(output, [part.stride for part in self._mapper.parts]) + self.classifier.bias.item()


def scale_of(logits: Tensor, factor: int, size_hw: tuple[int, int], strength: float) -> Tensor:
    """Returns the map (h', w') of a padded picture reduced `factor` times, less its median, sharpened: (h/4, w/4)."""
    reduced_hw = (-(-size_hw[0] // factor), -(-size_hw[1] // factor))
    own = merged_scales([logits], reduced_hw)
    rows, columns = (-(-side // CELL_PX) for side in size_hw)
    return _enlarged(_above(own, strength), factor)[:rows, :columns]


def _above(logits: Tensor, strength: float) -> Tensor:
    return sharpened(logits - logits.median(), strength)


def merged_scales(maps: Sequence[Tensor], size_hw: tuple[int, int]) -> Tensor:
    """Returns the mean of maps (..., h', w') of the padded picture and perhaps of half its size, for its own cells."""
    rows, columns = (-(-side // CELL_PX) for side in size_hw)
    scaled = [_enlarged(_own(cells, factor, size_hw), factor) for factor, cells in enumerate(maps, 1)]
    return torch.stack([cells[..., :rows, :columns] for cells in scaled]).mean(dim=0)


def _own(maps: Tensor, factor: int, size_hw: tuple[int, int]) -> Tensor:
    """Returns the cells of the picture itself from a map of the padded picture, reduced `factor` times."""
    rows, columns = (math.ceil(math.ceil(side / factor) / CELL_PX) for side in size_hw)
    first = PAD_PX // CELL_PX
    return maps[..., first : first + rows, first : first + columns]


def _enlarged(maps: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return maps
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    larger = functional.interpolate(flat, scale_factor=factor, mode="bilinear", align_corners=False)
    return larger.reshape(*maps.shape[:-2], *larger.shape[-2:])


def zoomed(image: Image.Image, factor: float) -> Image.Image:
    """Returns an RGB picture at `factor` times its size."""
    if factor == 1:
        return image
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BILINEAR if factor > 1 else Image.Resampling.BOX)


class Framed:
    """Pixels (h, w, 3) uint8 reflected by PAD_PX beyond every edge, further to the right and below up to whole cells of
    the deepest tap; only the parts that are cut out are computed."""

    def __init__(self, pixels: Array) -> None:
        mode: Literal["reflect", "symmetric"] = "reflect" if min(pixels.shape[:2]) > 2 * PAD_PX else "symmetric"
        self._pixels = pixels
        self._rows, self._columns = (
            np.pad(np.arange(side), (PAD_PX, PAD_PX + -side % STRIDE_PX), mode=mode) for side in pixels.shape[:2]
        )

    @property
    def width(self) -> int:
        """Returns the width including what is reflected."""
        return len(self._columns)

    @property
    def height(self) -> int:
        """Returns the height including what is reflected."""
        return len(self._rows)

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Returns the part within left, top, right, bottom."""
        left, top, right, bottom = box
        return Image.fromarray(self._pixels[self._rows[top:bottom, None], self._columns[None, left:right]])


def padded(image: Image.Image) -> Image.Image:
    """Returns a whole picture as `Framed` reflects it."""
    framed = Framed(np.asarray(image))
    return framed.crop((0, 0, framed.width, framed.height))


def evenly_lit(image: Image.Image) -> Image.Image:
    """Brightens shadows: divides by a power of the local mean brightness, taken from a reduced copy."""
    (pixels,) = _lit_at(image, (1,))
    return Image.fromarray(pixels)


def _lit_at(image: Image.Image, factors: Sequence[int]) -> list[Array]:
    """Returns the pixels (h, w, 3) of an `evenly_lit` photograph reduced by each of `factors`; computed band by band,
    since the whole in floating point would take eight times the memory."""
    small = image.convert("L")
    small.thumbnail((LIGHT_PX, LIGHT_PX))
    blurred = small.filter(ImageFilter.BoxBlur(LIGHT_RADIUS * max(small.size)))
    grey = np.asarray(blurred, np.float32) + 8  # bounds the gain where it is black
    gain = Image.fromarray((np.median(grey) / grey) ** LIGHT_POWER)
    width, height = image.size
    pictures = [np.empty((-(-height // factor), -(-width // factor), 3), np.uint8) for factor in factors]
    for top in range(0, height, BAND_PX):
        bottom = min(top + BAND_PX, height)
        area = (0.0, top * gain.height / height, float(gain.width), bottom * gain.height / height)
        gains = np.asarray(gain.resize((width, bottom - top), Image.Resampling.BILINEAR, box=area))
        band = np.clip(np.asarray(image.crop((0, top, width, bottom))) * gains[..., None], 0, 255).astype(np.uint8)
        for whole, factor in zip(pictures, factors, strict=True):
            part = band if factor == 1 else np.asarray(Image.fromarray(band).reduce(factor))
            whole[top // factor : top // factor + len(part)] = part
    return pictures


def sharpened(logits: Tensor, strength: float) -> Tensor:
    """Returns logits (h, w), each lowered by `strength` of its distance to the highest cell within NEAR_CELLS."""
    highest = functional.max_pool2d(logits[None, None], 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)[0, 0]
    return logits - strength * (highest - logits)


def followed(heat: Heat, threshold: float) -> Heat:
    """Returns probabilities of `steadied` log-odds where cells form a crack; elsewhere none reaches the threshold."""
    clipped = heat.probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds, level = np.log(clipped) - np.log1p(-clipped), math.log(threshold) - math.log1p(-min(threshold, 1 - 1e-7))
    smooth = steadied(odds, level)
    below = np.minimum(heat.probability, np.float32(threshold) * np.float32(0.999))
    kept = np.maximum(heat.probability, 1 / (1 + np.exp(-smooth)))
    return replace(heat, probability=np.where(grouped(smooth, level), kept, below).astype(np.float32))


def followed_cells(odds: Array, level: float) -> Array:
    """Returns which cells (h, w) belong to a crack: those `grouped` by their `steadied` log-odds."""
    return grouped(steadied(odds, level), level)


def steadied(odds: Array, level: float) -> Array:
    """Returns the mean of each cell's log-odds and its best straight stretch of STEADIED_CELLS, clamped around `level`.

    This bridges gaps along the direction of a crack, and lowers short marks.
    """
    clamped = torch.from_numpy(odds - level).float().clamp(-CLAMPED, CLAMPED)
    return np.asarray((odds + level + best_stretch(clamped, STEADIED_CELLS).numpy()) / 2)


def grouped(odds: Array, level: float) -> Array:
    """Returns which cells (h, w) at or above `level` lie in a group of at least LEAST_CELLS, one of them RISE above it.

    Gaps of two cells are bridged.
    """
    marked, near = odds >= level, np.ones((3, 3), bool)
    groups, count = ndimage.label(ndimage.binary_dilation(marked, near), near)
    sizes = np.bincount(groups[marked], minlength=count + 1)
    highest = np.full(count + 1, -np.inf)
    np.maximum.at(highest, groups[marked], odds[marked])
    kept = (sizes >= LEAST_CELLS) & (highest >= level + RISE)
    return np.asarray(marked & kept[groups])
