"""Computes heat maps of whole photographs by a classifier, at one or several scales."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from crack_lightning.engines.maps import LogitMapper, logit_mapper
from crack_lightning.engines.parts import PARTS
from crack_lightning.engines.pick import Engine, pick_engine
from crack_lightning.errors import UserError
from crack_lightning.inference.heat import Heat, heat_of, merged
from crack_lightning.inference.window_maps import (
    Scaled,
    probability_map,
    shape_of_map,
    to_scale,
    window_logits,
    window_logits_by_crops,
)
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.processes import cores

log = logging.getLogger(__name__)

ZOOM_RANGE = (0.1, 4.0)  # smallest and largest zoom for a map that knows the scale of its training
MB_PER_CORE = 32  # with less, tiles are mostly overlap; more is no faster, since it no longer fits the caches


@dataclass(frozen=True)
class WindowScale:
    """The sizes of windows: `window_px` pixels of a photograph, times each of `factors`.

    A crack map is computed on the photograph at `zoom` times its size.
    """

    window_px: float
    factors: Sequence[float] = (1.0,)
    zoom: float = 1.0


def window_px(classifier: CrackClassifier, *, tile_px: float | None, mm_per_px: float | None) -> float:
    """Returns how many pixels along a side of a photograph show as much as a training picture did.

    The result is `tile_px` if given, else follows from both scales if known, else is the training picture's side.
    """
    side = float(tile_px or classifier.patch_px or classifier.image_size)
    if tile_px is None and mm_per_px is not None and classifier.mm_per_px is not None:
        return side * classifier.mm_per_px / mm_per_px
    return side


def check_enlarged(size: tuple[int, int], scale: WindowScale, image_size: int, *, megapixels: float) -> None:
    """Raises UserError for a photograph of `size` (width, height) that would be enlarged beyond `megapixels`."""
    window_px = scale.window_px * min(scale.factors)
    width, height = (round(side * image_size / window_px) for side in size)
    if image_size > window_px and width * height > megapixels * 1e6:
        raise UserError(
            f"at a window of {window_px:.0f} pixels it would be enlarged to {width} x {height}: "
            "check mm_per_px, tile_px and scales, or give a larger max_megapixels"
        )


def zoom_of(mm_per_px: float, *, trained: float) -> float:
    """Returns the factor that resizes a photograph to the scale of training, `trained` millimetres per pixel.

    Raises UserError for a factor outside ZOOM_RANGE.
    """
    zoom = mm_per_px / trained
    if not ZOOM_RANGE[0] <= zoom <= ZOOM_RANGE[1]:
        raise UserError(
            f"mm_per_px={mm_per_px:g} is {zoom:.3g} times that of the map's training, {trained:g}: it must be "
            f"from {ZOOM_RANGE[0]:g} to {ZOOM_RANGE[1]:g} times that; check mm_per_px, or leave it out"
        )
    return zoom


def check_zoomed_size(size: tuple[int, int], scale: WindowScale, *, megapixels: float) -> None:
    """Raises UserError for a photograph of `size` (width, height) that its zoom enlarges beyond `megapixels`."""
    enlarged = size[0] * size[1] * scale.zoom**2 / 1e6
    if scale.zoom > 1 and enlarged > megapixels:
        raise UserError(
            f"at the scale of the map's training it would have {enlarged:.2g} megapixels: check mm_per_px, or give a "
            f"larger max_megapixels than {megapixels:g}"
        )


class PhotographReader:
    """Computes heat maps of photographs by one classifier, which is exported or folded once.

    `windows` is auto, map or crops. Raises UserError for "map" with a backbone that cannot be cut into parts.
    `memory_mb` limits the memory of the layers where it can be cut; None chooses a limit that suits the machine.
    """

    def __init__(
        self, classifier: CrackClassifier, *, engine: str, windows: str = "auto", memory_mb: float | None = None
    ) -> None:
        self.classifier = classifier.eval()
        self.engine, self.memory_mb = engine, memory_mb or MB_PER_CORE * cores()
        self._features: Engine | None = None
        self.by_crops = windows == "crops" or classifier.backbone not in PARTS
        if self.by_crops and windows == "map":
            raise UserError(
                f"windows=map: {classifier.backbone} needs a picture as a whole, or too large a part of it; "
                f"give windows=auto, or a checkpoint of {', '.join(PARTS)}"
            )
        if self.by_crops and windows == "auto":
            log.info("%s needs a picture as a whole: windows are cut out one by one", classifier.backbone)
        self.shape = shape_of_map(classifier)
        self._mapper: LogitMapper | None = None if self.by_crops else logit_mapper(classifier, engine)

    def scaled(self, image: Image.Image, scale: WindowScale) -> list[Scaled]:
        """Scales an upright RGB photograph for `heat`, once for each of `scale.factors`.

        The copies of a large photograph take less than half of its memory.
        """
        size = self.classifier.image_size
        sides = [scale.window_px * factor for factor in scale.factors]
        return [to_scale(image, window_px=side, image_size=size, shape=self.shape) for side in sides]

    def heat(self, pictures: Sequence[Scaled]) -> Heat:
        """Returns the heat map of a `scaled` photograph: the highest probability of all scales."""
        return merged([self._heat_of_one_scale(picture) for picture in pictures])

    def _heat_of_one_scale(self, scaled: Scaled) -> Heat:
        if self._mapper is None:
            logits = window_logits_by_crops(scaled, self._crop_logits)
        else:
            logits = window_logits(scaled, self._mapper, memory_mb=self.memory_mb)
        return heat_of(probability_map(self.classifier, logits).numpy(), scaled.grid)

    @torch.no_grad()
    def _crop_logits(self, crops: Tensor) -> Tensor:
        """Returns logits (N, 2) of uint8 crops (N, 3, image_size, image_size)."""
        crops = crops.to(self.classifier.pixel_mean.device)
        self._features = self._features or pick_engine(self.classifier, self.engine, crops)
        return self.classifier.classify(self._features(crops)).float().cpu()
