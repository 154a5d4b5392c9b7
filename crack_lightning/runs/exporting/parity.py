"""Whether an export answers as its checkpoint does: both are asked of the same pictures, by ways that share no code."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.data.synthetic.surface_folder import drawn_surface
from crack_lightning.engines.deepness import TILE_PX
from crack_lightning.engines.exports import Run
from crack_lightning.engines.onnx import onnx_runtime
from crack_lightning.engines.portable import SHARPENED
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader, sharpened
from crack_lightning.inference.sources import find_photographs
from crack_lightning.models.crack_map import CELL_PX, CrackMap, Network
from crack_lightning.models.decision import Decision

log = logging.getLogger(__name__)

TOLERANCE = 1e-4  # of probabilities
BATCHES = (1, 5)  # of the pictures the first, and the others
DRAWN_PX = 256
MAP_SIZES = ((256, 256), (301, 203), (512, 384))  # width, height


@dataclass(frozen=True)
class Compared:
    """Of one format `batch` pictures of one size at once: the largest difference of a probability, how many
    decisions there were and how many differ. Probabilities within TOLERANCE of the threshold may."""

    format: str
    size: str
    batch: int
    difference: float
    decisions: int
    differ: int

    @property
    def agrees(self) -> bool:
        """Whether it may be called the same."""
        return self.difference <= TOLERANCE and self.differ == 0


def parity_pictures(network: Network, source: str | None, *, megapixels: float) -> list[Image.Image]:
    """Upright RGB pictures to compare on: of the user's `source`, or drawn as those that the network is for."""
    count = sum(BATCHES)
    if source is None:
        return [drawn_picture(network, number) for number in range(count)]
    found = find_photographs(source).photographs
    step = max(1, len(found) // count)
    pictures = [read_image(each.path, megapixels=megapixels) for each in found[::step][:count]]
    return [pictures[k % len(pictures)] for k in range(count)]


def drawn_picture(network: Network, number: int) -> Image.Image:
    """A surface, every second one with a crack; for a map one with what is mistaken for cracks too."""
    if isinstance(network, CrackMap):
        return lesson(None, 0, number).image
    return drawn_surface(seed=0, index=number, positive=bool(number % 2), size_px=network.patch_px or DRAWN_PX)


Answer = Callable[[Sequence[Image.Image]], Tensor]


def _own_answer(network: Network) -> Answer:
    """Of pictures of one size, as `predict` or `inspect` computes them: probabilities (N, 2), or of cells."""
    if isinstance(network, CrackMap):
        return _OwnMap(network)
    transform = plain_transform(network.image_size)
    return lambda pictures: network.predict_proba(torch.stack([transform(each) for each in pictures]))


def compared(name: str, run: Run, network: Network, pictures: Sequence[Image.Image]) -> list[Compared]:
    """`run`, which is of an export, against `network`, at three sizes and in batches of 1 and 5."""
    own = _own_answer(network)
    if isinstance(network, CrackMap):
        sizes, decision, index = MAP_SIZES, network.cell_decision, None
    else:
        side = network.image_size
        sizes = ((side, side), (side + 47, side + 47), (side * 3 // 2, side))
        decision, index = network.decision, network.decision.positive_index
    rows = list[Compared]()
    for size in sizes:
        scaled = [each.resize(size, Image.Resampling.BILINEAR) for each in pictures]
        for some in (scaled[:1], scaled[1:]):
            answer = run(torch.stack([pil_to_tensor(each) for each in some]))[0]
            rows.append(_row(name, size, answer, own(some), decision, index))
    return rows


class _OwnMap:
    """Probabilities (N, h/4, w/4) of cells of pictures of one size as `inspect` computes them, at this size alone."""

    def __init__(self, network: CrackMap) -> None:
        self.reader = CrackMapReader(network, engine="eager")

    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        return torch.stack([self._one(self.reader.logits_of(picture)) for picture in pictures])

    def _one(self, logits: Tensor) -> Tensor:
        return (sharpened(logits - logits.median(), SHARPENED) - self.reader.classifier.level).sigmoid()


def _row(
    name: str, size: tuple[int, int], answer: Tensor, own: Tensor, decision: Decision, index: int | None
) -> Compared:
    if answer.shape != own.shape:
        raise UserError(f"{name} gives {tuple(answer.shape)} where the checkpoint gives {tuple(own.shape)}")
    difference = (answer - own).abs().max().item()
    ours, theirs = (each if index is None else each[:, index] for each in (own, answer))
    clear = (ours - decision.threshold).abs() > TOLERANCE
    differ = int(((decision.is_positive(ours) != decision.is_positive(theirs)) & clear).sum())
    return Compared(name, f"{size[0]}x{size[1]}", len(own), difference, ours.numel(), differ)


def compared_deepness(content: bytes, network: CrackMap, pictures: Sequence[Image.Image]) -> list[Compared]:
    """The file for QGIS against the map, both brought to the size of its tiles."""
    session = onnx_runtime().InferenceSession(content, providers=["CPUExecutionProvider"])
    size, own = (TILE_PX, TILE_PX), _OwnMap(network)
    scaled = [each.resize(size, Image.Resampling.BILINEAR) for each in pictures]
    rows = []
    for some in (scaled[:1], scaled[1:]):
        tiles = np.stack([np.asarray(each, np.float32) / 255 for each in some]).transpose(0, 3, 1, 2)
        answer = torch.from_numpy(session.run(None, {"tiles": tiles})[0])
        expected: Any = torch.nn.functional.interpolate(own(some)[:, None], scale_factor=CELL_PX, mode="bilinear")
        rows.append(_row("deepness", size, answer, expected, network.cell_decision, None))
    return rows
