"""What exported networks say of patches and of whole photographs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import pil_to_tensor

from crack_lightning.engines.crack_maps import CELL_BYTES, STRIDE_PX
from crack_lightning.engines.portable import MARGIN_PX
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.geometry import MapShape, Span, overlapping
from crack_lightning.inference.heat import Heat, heat_of, merged
from crack_lightning.inference.maps import Scaled, probability_map, to_scale, window_logits_by_crops
from crack_lightning.inference.patches import FileLogits, file_by_file
from crack_lightning.inference.photographs import MB_OF_A_CORE, Scale
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.models.exported import ExportedClassifier, ExportedMap
from crack_lightning.system.processes import cores

REACH_PX = 288  # that a cell of MobileNetV2 sees to either side, 276, in whole strides
LEAST_TILE_PX = 1024  # side of a tile below which most of it would be overlap


def exported_logits(
    classifier: ExportedClassifier, paths: Sequence[Path], *, num_workers: int | None, megapixels: float
) -> FileLogits:
    """What an exported classifier says of the files, each at its own size."""

    def logits(image: Image.Image) -> Tensor:
        return classifier.logits(pil_to_tensor(image)[None])[0]

    return file_by_file(logits, paths, num_workers=num_workers, megapixels=megapixels)


class ExportedWindows:
    """Heat maps of photographs by an exported classifier, whose windows are cut out one by one.

    Raises UserError for windows=map: an export has no layers.
    """

    def __init__(self, classifier: ExportedClassifier, *, windows: str = "auto") -> None:
        if windows == "map":
            raise UserError("windows=map: an export judges whole pictures, so windows are cut out one by one (crops)")
        self.classifier = classifier
        self.shape = MapShape(STRIDE_PX, -(-classifier.image_size // STRIDE_PX), whole_cells=False)

    def scaled(self, image: Image.Image, scale: Scale) -> list[Scaled]:
        """An upright RGB photograph for `heat`, once for each scale."""
        size, sides = self.classifier.image_size, [scale.window_px * factor for factor in scale.factors]
        return [to_scale(image, window_px=side, image_size=size, shape=self.shape) for side in sides]

    def heat(self, pictures: Sequence[Scaled]) -> Heat:
        """The heat map of a photograph that was `scaled`, of several scales the highest."""
        logits = [window_logits_by_crops(each, self.classifier.logits) for each in pictures]
        pairs = zip(logits, pictures, strict=True)
        return merged([heat_of(probability_map(self.classifier, each).numpy(), own.grid) for each, own in pairs])


class ExportedMapReader(CrackMapReader):
    """Crack maps of photographs by an export, which adds the margins itself and takes photographs in tiles.

    Tiles overlap by as far as a cell sees: what counts is what the export says of the whole.
    """

    def __init__(self, network: ExportedMap, *, memory_mb: float | None = None, patches: bool = False) -> None:
        self.classifier = cast(CrackMap, network)  # what is asked of a map here, an export answers too
        self.memory_mb = memory_mb or MB_OF_A_CORE * cores()
        self._network, self._patches = network, patches

    def _framed(self, image: Image.Image) -> Image.Image:
        return image

    def _logits(self, picture: Image.Image) -> Tensor:
        most = max(self.memory_mb * 2**20 / CELL_BYTES, LEAST_TILE_PX**2) / cores()
        tiles = overlapping((picture.height, picture.width), most=most, reach=REACH_PX, stride=STRIDE_PX)
        rows, columns = (-(-side // CELL_PX) for side in (picture.height, picture.width))
        whole = torch.empty(rows, columns)
        with ThreadPoolExecutor(cores()) as pool:
            found = pool.map(lambda tile: self._tile(picture, tile), tiles)
            for (down, across), logits in zip(tiles, found, strict=True):
                own = logits[_cells(down, down.low), _cells(across, across.low)]
                whole[_cells(down, 0), _cells(across, 0)] = own
        margin = MARGIN_PX // CELL_PX
        return functional.pad(whole, (margin, 0, margin, 0))  # as other maps come, with their margins

    def _tile(self, picture: Image.Image, tile: tuple[Span, Span]) -> Tensor:
        down, across = tile
        pixels = pil_to_tensor(picture.crop((across.low, down.low, across.high, down.high)))
        return self._network.cell_logits(pixels[None], patches=self._patches)[0]


def _cells(span: Span, first_px: int) -> slice:
    """The cells that count of a side, numbered from `first_px` on."""
    return slice((span.start - first_px) // CELL_PX, -(-(span.end - first_px) // CELL_PX))
