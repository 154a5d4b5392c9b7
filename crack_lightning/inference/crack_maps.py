"""Applies the crack-map network to whole photographs, at several scales; evens the light and drops short marks."""

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
from crack_lightning.inference.photographs import MB_PER_CORE, WindowScale
from crack_lightning.inference.stretches import best_stretch
from crack_lightning.inference.tiles import logit_map
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.system.processes import cores

PAD_PX = MARGIN_PX  # margin by which a picture is reflected
SMALL_PX = 800  # up to this longer side, half of the picture's size may show its cracks better
SMALL_SHARPENING = 1.0  # takes the place of SHARPENED in a small picture
# Margin in log-odds by which both coarse maps must exceed the full-size one. Compared with 0, 0.5 and the mean of both
# maps, it finds the most cracks of DeepCrack, enlarged three times, at no cost on CrackSight.
COARSER_MARGIN = 0.25
LIGHT_POWER = 0.6  # power of the local mean brightness by which a photograph is divided
LIGHT_RADIUS_SHARE = 0.04  # radius of the local mean, relative to the longer side
BAND_ROWS = 64  # rows whose light is evened at once
LIGHT_COPY_PX = 512  # longer side of the reduced copy that gives the brightness
STRETCH_CELLS = 13  # cells in a stretch
MAX_ODDS = 2.0  # limit of each cell's log-odds, so that one cell cannot carry a stretch
LEAST_CELLS = 8  # cells that a crack must have; gaps of two cells are bridged
LEAST_PX = LEAST_CELLS * CELL_PX  # a photograph's longer side must have this many pixels
PEAK_ODDS = 0.7  # log-odds above the threshold that one cell of a crack must have: hysteresis (Canny 1986)

Array = np.ndarray


@dataclass(frozen=True)
class Prepared:
    """A photograph ready for the network.

    `pictures`: the framed photograph and, if it is small, another one of half its size; the mean of their maps counts.
    `coarse`: for a large photograph, framed pictures of half and quarter size.
    `size_hw`: its size. `photograph_hw`: its size before it was resized to the scale of training.
    `tile_px`: the side of a tile in the tables.
    """

    pictures: Sequence["Framed"]
    coarse: Sequence["Framed"]
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
        self._mapper = crack_mapper(network, engine, network.patch_weight if patches else None)

    def scaled(self, image: Image.Image, scale: WindowScale) -> Prepared:
        """Prepares an upright RGB photograph for `heat`, at `scale.zoom` times its size; each tile is a window."""
        resized = zoomed(image, scale.zoom)
        prepared = self.prepared_as(resized, small=max(resized.size) <= SMALL_PX)
        return replace(prepared, photograph_hw=(image.height, image.width), tile_px=scale.window_px)

    def prepared_as(self, image: Image.Image, *, small: bool) -> Prepared:
        """Prepares a photograph as a small one or as a large one, whatever its size is."""
        size_hw = (image.height, image.width)
        if small:
            pictures = [image, image.reduce(2)] if min(image.size) > 1 else [image]
            return Prepared([Framed(np.asarray(picture)) for picture in pictures], [], size_hw, size_hw, 0.0)
        fine, *coarse = map(Framed, _evenly_lit_at(image, (1, 2, 4) if max(image.size) > SMALL_PX else (1,)))
        return Prepared([fine], coarse, size_hw, size_hw, 0.0)

    def heat(self, prepared: Prepared) -> Heat:
        """Returns the heat map of a `scaled` photograph, with a probability for each cell of CELL_PX x CELL_PX."""
        small = max(prepared.size_hw) <= SMALL_PX
        above = self.above_median(prepared, small=small)
        level = self.classifier.small_level if small else self.classifier.level
        probability = (above - level).sigmoid()
        sides = zip(above.shape, prepared.photograph_hw, prepared.size_hw, strict=True)
        y, x = ((np.arange(count) + 0.5) * CELL_PX * original / resized for count, original, resized in sides)
        cell_px = CELL_PX * max(prepared.photograph_hw) / max(prepared.size_hw)
        return Heat(probability.numpy(), y, x, prepared.photograph_hw, cell_px, prepared.tile_px)

    def above_median(self, prepared: Prepared, *, small: bool) -> Tensor:
        """Returns sharpened logits of cells (h/4, w/4), less the photograph's median: light and texture shift them all.

        A gap too wide at full size looks like a crack at half and quarter size. Such a crack counts if both maps show
        it, less COARSER_MARGIN.
        """
        if not prepared.coarse:
            return _sharpened_above_median(self.logits(prepared), SMALL_SHARPENING if small else SHARPENED)
        fine, half, quarter = (
            map_at_full_size(self._logits(picture), factor, prepared.size_hw, SHARPENED)
            for picture, factor in zip([*prepared.pictures, *prepared.coarse], (1, 2, 4), strict=True)
        )
        return fine.maximum(half.minimum(quarter) - COARSER_MARGIN)

    def logits_of(self, image: Image.Image) -> Tensor:
        """Returns logits of cells (h/4, w/4) of an RGB picture at its own scale only, without evening its light."""
        return merged_scales([self._logits(Framed(np.asarray(image)))], (image.height, image.width))

    def logits(self, prepared: Prepared) -> Tensor:
        """Returns logits of cells (h/4, w/4): the mean of both scales if there are two."""
        return merged_scales([self._logits(picture) for picture in prepared.pictures], prepared.size_hw)

    def _logits(self, picture: "Framed") -> Tensor:
        """Returns the logits of a framed picture's cells, including those in the margin of PAD_PX."""
        output = logit_map(self._mapper, picture, memory_mb=self.memory_mb)
        return unfold_logits(output, [part.stride for part in self._mapper.parts]) + self.classifier.bias.item()


def map_at_full_size(logits: Tensor, factor: int, size_hw: tuple[int, int], strength: float) -> Tensor:
    """Returns a sharpened map (h/4, w/4), less its median, from the map of the padded picture reduced by `factor`."""
    reduced_hw = (-(-size_hw[0] // factor), -(-size_hw[1] // factor))
    reduced_map = merged_scales([logits], reduced_hw)
    rows, columns = (-(-side // CELL_PX) for side in size_hw)
    return _enlarged(_sharpened_above_median(reduced_map, strength), factor)[:rows, :columns]


def _sharpened_above_median(logits: Tensor, strength: float) -> Tensor:
    return sharpened(logits - logits.median(), strength)


def merged_scales(maps: Sequence[Tensor], size_hw: tuple[int, int]) -> Tensor:
    """Returns the mean map (..., h/4, w/4) of a picture from maps of it, padded, and possibly of half its size."""
    rows, columns = (-(-side // CELL_PX) for side in size_hw)
    scaled = [_enlarged(_without_margin(cells, factor, size_hw), factor) for factor, cells in enumerate(maps, 1)]
    return torch.stack([cells[..., :rows, :columns] for cells in scaled]).mean(dim=0)


def _without_margin(maps: Tensor, factor: int, size_hw: tuple[int, int]) -> Tensor:
    """Returns the map of a picture reduced by `factor`, without the cells of its padding."""
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
    """A picture (h, w, 3) uint8, reflected by PAD_PX beyond every edge.

    On the right and below, it is reflected further, up to a multiple of STRIDE_PX. Only requested parts are computed.
    """

    def __init__(self, pixels: Array) -> None:
        mode: Literal["reflect", "symmetric"] = "reflect" if min(pixels.shape[:2]) > 2 * PAD_PX else "symmetric"
        self._pixels = pixels
        self._rows, self._columns = (
            np.pad(np.arange(side), (PAD_PX, PAD_PX + -side % STRIDE_PX), mode=mode) for side in pixels.shape[:2]
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


def padded(image: Image.Image) -> Image.Image:
    """Returns a whole picture with the reflection of `Framed`."""
    framed = Framed(np.asarray(image))
    return framed.crop((0, 0, framed.width, framed.height))


def evenly_lit(image: Image.Image) -> Image.Image:
    """Brightens shadows: divides by a power of the local mean brightness of a reduced copy."""
    (pixels,) = _evenly_lit_at(image, (1,))
    return Image.fromarray(pixels)


def _evenly_lit_at(image: Image.Image, factors: Sequence[int]) -> list[Array]:
    """Returns the pixels (h, w, 3) of an `evenly_lit` photograph, reduced by each of `factors`.

    They are computed in bands of rows: at once, floating-point values would take eight times the memory.
    """
    small = image.convert("L")
    small.thumbnail((LIGHT_COPY_PX, LIGHT_COPY_PX))
    blurred = small.filter(ImageFilter.BoxBlur(LIGHT_RADIUS_SHARE * max(small.size)))
    grey = np.asarray(blurred, np.float32) + 8  # limits the gain where the photograph is black
    gain = Image.fromarray((np.median(grey) / grey) ** LIGHT_POWER)
    width, height = image.size
    pictures = [np.empty((-(-height // factor), -(-width // factor), 3), np.uint8) for factor in factors]
    for top in range(0, height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, height)
        area = (0.0, top * gain.height / height, float(gain.width), bottom * gain.height / height)
        gains = np.asarray(gain.resize((width, bottom - top), Image.Resampling.BILINEAR, box=area))
        band = np.clip(np.asarray(image.crop((0, top, width, bottom))) * gains[..., None], 0, 255).astype(np.uint8)
        for whole, factor in zip(pictures, factors, strict=True):
            part = band if factor == 1 else np.asarray(Image.fromarray(band).reduce(factor))
            whole[top // factor : top // factor + len(part)] = part
    return pictures


def sharpened(logits: Tensor, strength: float) -> Tensor:
    """Returns logits (h, w), each lowered by `strength` times its distance to the highest one within NEAR_CELLS."""
    highest = functional.max_pool2d(logits[None, None], 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)[0, 0]
    return logits - strength * (highest - logits)


def keep_cracks(heat: Heat, threshold: float) -> Heat:
    """Returns the heat map with `steadied` probabilities in cells of cracks, and below the threshold elsewhere."""
    clipped = heat.probability.astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds, level = np.log(clipped) - np.log1p(-clipped), math.log(threshold) - math.log1p(-min(threshold, 1 - 1e-7))
    smooth = steadied(odds, level)
    below = np.minimum(heat.probability, np.float32(threshold) * np.float32(0.999))
    kept = np.maximum(heat.probability, 1 / (1 + np.exp(-smooth)))
    return replace(heat, probability=np.where(grouped(smooth, level), kept, below).astype(np.float32))


def crack_cells(odds: Array, level: float) -> Array:
    """Returns which cells (h, w) belong to a crack: they are `grouped` by their `steadied` log-odds."""
    return grouped(steadied(odds, level), level)


def steadied(odds: Array, level: float) -> Array:
    """Returns each cell's mean of its log-odds and those of its best straight stretch, limited around `level`.

    This bridges gaps along the direction of a crack and lowers short marks.
    """
    clamped = torch.from_numpy(odds - level).float().clamp(-MAX_ODDS, MAX_ODDS)
    return np.asarray((odds + level + best_stretch(clamped, STRETCH_CELLS).numpy()) / 2)


def grouped(odds: Array, level: float) -> Array:
    """Returns which cells (h, w) are at least `level`, in groups of LEAST_CELLS or more with one PEAK_ODDS higher.

    Gaps of two cells are bridged.
    """
    marked, near = odds >= level, np.ones((3, 3), bool)
    groups, count = ndimage.label(ndimage.binary_dilation(marked, near), near)
    sizes = np.bincount(groups[marked], minlength=count + 1)
    highest = np.full(count + 1, -np.inf)
    np.maximum.at(highest, groups[marked], odds[marked])
    kept = (sizes >= LEAST_CELLS) & (highest >= level + PEAK_ODDS)
    return np.asarray(marked & kept[groups])
