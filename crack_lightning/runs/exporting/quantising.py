"""Quantises an export to eight bits: chooses pictures to calibrate on, and measures the loss."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crack_lightning.data.images.reading import read_image
from crack_lightning.data.samples.splits import read_split_rows
from crack_lightning.engines.int8 import fine_layers, quantised
from crack_lightning.engines.onnx import onnx_step
from crack_lightning.engines.portable import portable
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import find_photographs
from crack_lightning.runs.exporting.options import ExportOptions
from crack_lightning.runs.exporting.subjects import BATCH_SIZE, SYNTHETIC_MAP_COUNT, Subject
from crack_lightning.system.files import expanded, not_a_file
from crack_lightning.system.tables import Row

log = logging.getLogger(__name__)

MIN_COUNT = 32  # pictures needed for int8
CALIBRATION_COUNT, JUDGED_COUNT = 240, 1000  # most pictures to calibrate on, and to measure the loss on
SYNTHETIC_SEED = 1  # another seed than for the pictures of the comparison with the checkpoint


@dataclass(frozen=True)
class Loss:
    """The loss by quantising, as model.json states it.

    `lost`: the loss in the `measure`. `before`, `after`: metrics, empty without labels. `pictures`: origin of
    the pictures. `calibrated_on`, `judged_on`: numbers of pictures.
    """

    lost: float
    measure: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    pictures: str
    calibrated_on: int
    judged_on: int
    max_loss: float


@dataclass(frozen=True)
class Quantised:
    """The content of an ONNX file in eight bits, and its loss."""

    content: bytes
    loss: Loss


@dataclass(frozen=True)
class Pictures:
    """Pictures (N, 3, h, w) uint8, their labels (N,), 1 for positive, or None, and their origin.

    `calibrating` selects the pictures to calibrate on, `judged` those on which the loss is measured.
    """

    images: Tensor
    labels: Tensor | None
    origin: str
    calibrating: slice = field(default_factory=lambda: slice(0, None, 2))
    judged: slice = field(default_factory=lambda: slice(1, None, 2))


def quantised_network(content: bytes, subject: Subject, options: ExportOptions) -> Quantised:
    """Returns the ONNX file of a network in eight bits. Raises UserError if it loses more than `max_loss`, and if the
    pictures are not fit to calibrate it."""
    pictures = _pictures(subject, options)
    with torch.no_grad():
        before = subject.answers(pictures.images)
    _check(pictures, before, subject, options)
    calibrating = pictures.images[pictures.calibrating][:CALIBRATION_COUNT]
    eight_bits = quantised(content, _batches(calibrating), keep=fine_layers(portable(subject.network), calibrating[:1]))
    judged = pictures.images[pictures.judged]
    answer = onnx_step(eight_bits, one_size=True)
    after = torch.cat([answer(batch) for batch in judged.split(BATCH_SIZE)])
    labels = None if pictures.labels is None else pictures.labels[pictures.judged]
    loss_facts = subject.loss_facts(before[pictures.judged], after, labels)
    loss = Loss(*loss_facts, pictures.origin, len(calibrating), len(judged), options.max_loss)
    if loss.lost > loss.max_loss:
        raise UserError(
            f"precision=int8 loses {loss.lost:.4f} of {loss.measure} on {loss.judged_on} pictures "
            f"({loss.pictures}), more than max_loss={loss.max_loss:g}: keep float32, or give a larger max_loss"
        )
    log.info("int8 loses %.4f of %s on %d pictures", loss.lost, loss.measure, loss.judged_on)
    return Quantised(eight_bits, loss)


def _pictures(subject: Subject, options: ExportOptions) -> Pictures:
    """Returns pictures from `source`, else from the training and validation splits, else synthetic ones."""
    megapixels = options.max_megapixels
    if options.source is not None:
        paths = [photo.path for photo in find_photographs(options.source).photographs]
        labels = subject.labels_from_folders([path.parent.name for path in paths])
        order = np.random.default_rng(0).permutation(len(paths))[: CALIBRATION_COUNT + JUDGED_COUNT]
        images = [subject.to_tensor(read_image(paths[k], megapixels=megapixels)) for k in order]
        known = None if labels is None else torch.tensor([labels[k] for k in order])
        return Pictures(torch.stack(images) if images else torch.empty(0), known, "source")
    rows = [] if options.ckpt_path is None else _training_rows(options.ckpt_path)
    present = [row for row in rows if not_a_file(Path(row["path"])) is None]
    trained, validated = ([row for row in present if row["split"] == split] for split in ("train", "val"))
    synthetic_labels = subject.synthetic_labels()
    if min(len(trained), len(validated)) < MIN_COUNT or synthetic_labels is None:
        return _synthetic_pictures(subject, synthetic_labels)
    shuffled = [part[k] for part in (trained, validated) for k in np.random.default_rng(0).permutation(len(part))]
    count = min(CALIBRATION_COUNT, len(trained))
    chosen = [*shuffled[:count], *shuffled[len(trained) : len(trained) + JUDGED_COUNT]]
    targets = torch.tensor([int(row["label"] == subject.decision.positive_class) for row in chosen])
    images = [subject.to_tensor(read_image(row["path"], megapixels=megapixels)) for row in chosen]
    origin = "the training split, judged on validation"
    return Pictures(torch.stack(images), targets, origin, slice(count), slice(count, None))


def _training_rows(ckpt_path: str) -> Sequence[Row]:
    table = expanded(ckpt_path).absolute().parent.parent / "split.csv"
    return read_split_rows(table) if table.is_file() else []


def _synthetic_pictures(subject: Subject, labels: Sequence[int] | None) -> Pictures:
    shown = labels or [0] * SYNTHETIC_MAP_COUNT
    images = [
        subject.to_tensor(subject.synthetic_picture(SYNTHETIC_SEED, number, positive=bool(label)))
        for number, label in enumerate(shown)
    ]
    return Pictures(torch.stack(images), None if labels is None else torch.tensor(labels), "drawn")


def _check(pictures: Pictures, before: Tensor, subject: Subject, options: ExportOptions) -> None:
    """Raises UserError for too few pictures, and for a classifier also if all pictures have one class."""
    if len(pictures.images) < MIN_COUNT:
        raise UserError(
            f"source={options.source}: {len(pictures.images)} pictures are too few to calibrate int8 on: "
            f"it needs {MIN_COUNT} at least, such as training pictures"
        )
    if subject.synthetic_labels() is None:
        return
    positive = subject.decision.is_positive(subject.positive_probabilities(before))
    classes = positive if pictures.labels is None else pictures.labels
    if len(classes.unique()) < 2:
        name = subject.decision.negative_first[int(classes[0])]
        raise UserError(
            f"source={options.source}: all {len(classes)} pictures are {name}; int8 needs pictures of both classes"
        )


def _batches(images: Tensor) -> Iterator[np.ndarray]:
    return (batch.numpy() for batch in images.split(BATCH_SIZE))
