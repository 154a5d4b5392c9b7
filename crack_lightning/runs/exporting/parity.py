"""Compares the answers of an export and of its checkpoint to the same pictures; the two share no code."""

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

TOLERANCE = 1e-4  # largest difference of a probability
BATCH_SIZES = (1, 5)  # the first picture is compared alone, the others together


@dataclass(frozen=True)
class Comparison:
    """A comparison of one format with the checkpoint on one batch of pictures of equal size.

    `difference`: largest difference of a probability. `decisions`: number of decisions. `differ`: number of decisions
    that differ, not counting those where the checkpoint's probability is within TOLERANCE of the threshold.
    """

    format: str
    size: str
    batch: int
    difference: float
    decisions: int
    differ: int

    @property
    def agrees(self) -> bool:
        """Returns whether the format gives the answers of the checkpoint."""
        return self.difference <= TOLERANCE and self.differ == 0


def parity_pictures(subject: Subject, source: str | None, *, megapixels: float) -> list[Image.Image]:
    """Returns upright RGB pictures to compare on: from the user's `source`, else synthetic pictures that suit the
    network."""
    count = sum(BATCH_SIZES)
    if source is None:
        return [subject.synthetic_picture(0, number, positive=bool(number % 2)) for number in range(count)]
    photographs = find_photographs(source).photographs
    step = max(1, len(photographs) // count)
    pictures = [read_image(photo.path, megapixels=megapixels) for photo in photographs[::step][:count]]
    return [pictures[k % len(pictures)] for k in range(count)]


def compare(name: str, run: Run, subject: Subject, pictures: Sequence[Image.Image]) -> list[Comparison]:
    """Compares an export, whose network `run` computes, with the checkpoint: at three sizes, in batches of 1 and 5."""
    rows = list[Comparison]()
    for size in subject.sizes:
        scaled = [picture.resize(size, Image.Resampling.BILINEAR) for picture in pictures]
        for batch in (scaled[:1], scaled[1:]):
            answer = run(torch.stack([pil_to_tensor(picture) for picture in batch]))[0]
            rows.append(_row(name, size, answer, subject.reference_answers(batch), subject))
    return rows


def _row(name: str, size: tuple[int, int], answer: Tensor, reference: Tensor, subject: Subject) -> Comparison:
    if answer.shape != reference.shape:
        raise UserError(
            f"{name} gives answers of shape {tuple(answer.shape)}, the checkpoint of shape {tuple(reference.shape)}"
        )
    difference = (answer - reference).abs().max().item()
    expected, exported = subject.positive_probabilities(reference), subject.positive_probabilities(answer)
    decision = subject.decision
    is_clear = (expected - decision.threshold).abs() > TOLERANCE
    differ = int(((decision.is_positive(expected) != decision.is_positive(exported)) & is_clear).sum())
    return Comparison(name, f"{size[0]}x{size[1]}", len(reference), difference, expected.numel(), differ)


def compare_deepness(content: bytes, subject: Subject, pictures: Sequence[Image.Image]) -> list[Comparison]:
    """Compares the file for QGIS with the map, whose cells are enlarged to pixels, since the file answers by pixel."""
    session = onnx_runtime().InferenceSession(content, providers=["CPUExecutionProvider"])
    size = (TILE_PX, TILE_PX)
    scaled = [picture.resize(size, Image.Resampling.BILINEAR) for picture in pictures]
    rows = []
    for batch in (scaled[:1], scaled[1:]):
        tiles = np.stack([np.asarray(picture, np.float32) / 255 for picture in batch]).transpose(0, 3, 1, 2)
        answer = torch.from_numpy(session.run(None, {"tiles": tiles})[0])
        expected: Any = torch.nn.functional.interpolate(
            subject.reference_answers(batch)[:, None], scale_factor=CELL_PX, mode="bilinear"
        )
        rows.append(_row("deepness", size, answer, expected, subject))
    return rows
