"""Compares an export with its checkpoint: both answer for the same pictures, by ways that share no code."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.images.reading import read_image
from crack_lightning.engines.deepness import TILE_PX
from crack_lightning.engines.exports import Run
from crack_lightning.engines.onnx import onnx_runtime
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import find_photographs
from crack_lightning.models.crack_map import CELL_PX
from crack_lightning.runs.exporting.subjects import Subject
from crack_lightning.system.vision import pil_to_tensor

log = logging.getLogger(__name__)

TOLERANCE = 1e-4  # of probabilities
BATCHES = (1, 5)  # the first picture, and the others


@dataclass(frozen=True)
class Compared:
    """A comparison of one format on `batch` pictures of one size at once: the largest difference of a probability, how
    many decisions there were and how many differ. Probabilities within TOLERANCE of the threshold may differ."""

    format: str
    size: str
    batch: int
    difference: float
    decisions: int
    differ: int

    @property
    def agrees(self) -> bool:
        """Returns whether the format counts as the same as the checkpoint."""
        return self.difference <= TOLERANCE and self.differ == 0


def parity_pictures(subject: Subject, source: str | None, *, megapixels: float) -> list[Image.Image]:
    """Returns upright RGB pictures to compare on, from the user's `source`, or drawn like those the network is for."""
    count = sum(BATCHES)
    if source is None:
        return [subject.drawn(0, number, positive=bool(number % 2)) for number in range(count)]
    photographs = find_photographs(source).photographs
    step = max(1, len(photographs) // count)
    pictures = [read_image(photo.path, megapixels=megapixels) for photo in photographs[::step][:count]]
    return [pictures[k % len(pictures)] for k in range(count)]


def compared(name: str, run: Run, subject: Subject, pictures: Sequence[Image.Image]) -> list[Compared]:
    """Compares `run`, of an export, with the network, at three sizes and in batches of 1 and 5."""
    rows = list[Compared]()
    for size in subject.sizes:
        scaled = [picture.resize(size, Image.Resampling.BILINEAR) for picture in pictures]
        for batch in (scaled[:1], scaled[1:]):
            answer = run(torch.stack([pil_to_tensor(picture) for picture in batch]))[0]
            rows.append(_row(name, size, answer, subject.own(batch), subject))
    return rows


def _row(name: str, size: tuple[int, int], answer: Tensor, own: Tensor, subject: Subject) -> Compared:
    if answer.shape != own.shape:
        raise UserError(f"{name} gives {tuple(answer.shape)} where the checkpoint gives {tuple(own.shape)}")
    difference = (answer - own).abs().max().item()
    own_positive, positive, decision = subject.positive(own), subject.positive(answer), subject.decision
    clear = (own_positive - decision.threshold).abs() > TOLERANCE
    differ = int(((decision.is_positive(own_positive) != decision.is_positive(positive)) & clear).sum())
    return Compared(name, f"{size[0]}x{size[1]}", len(own), difference, own_positive.numel(), differ)


def compared_deepness(content: bytes, subject: Subject, pictures: Sequence[Image.Image]) -> list[Compared]:
    """Compares the file for QGIS with the map, whose cells are enlarged to the pixels of the file's tiles."""
    session = onnx_runtime().InferenceSession(content, providers=["CPUExecutionProvider"])
    size = (TILE_PX, TILE_PX)
    scaled = [picture.resize(size, Image.Resampling.BILINEAR) for picture in pictures]
    rows = []
    for batch in (scaled[:1], scaled[1:]):
        tiles = np.stack([np.asarray(picture, np.float32) / 255 for picture in batch]).transpose(0, 3, 1, 2)
        answer = torch.from_numpy(session.run(None, {"tiles": tiles})[0])
        expected: Any = torch.nn.functional.interpolate(
            subject.own(batch)[:, None], scale_factor=CELL_PX, mode="bilinear"
        )
        rows.append(_row("deepness", size, answer, expected, subject))
    return rows
