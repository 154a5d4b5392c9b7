"""An export in eight bits: on which pictures it is calibrated, and what it loses."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.data.samples.splits import read_split_rows
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.data.synthetic.surface_folder import drawn_surface
from crack_lightning.engines.int8 import fine_layers, quantised
from crack_lightning.engines.onnx import onnx_step
from crack_lightning.engines.pick import pick_engine
from crack_lightning.engines.portable import portable
from crack_lightning.errors import UserError
from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.inference.sources import find_photographs
from crack_lightning.models.crack_map import CELL_PX, CrackMap, Network
from crack_lightning.runs.exporting.options import ExportOptions
from crack_lightning.runs.exporting.parity import DRAWN_PX
from crack_lightning.system.files import expanded, not_a_file
from crack_lightning.system.tables import Row

log = logging.getLogger(__name__)

LEAST, CALIBRATED, JUDGED = 32, 240, 1000  # pictures
DRAWN, DRAWN_MAPS = 240, 64
MAP_PX = 512  # side of the pieces of photographs, cut from their middle
BATCH = 4
SEED = 1  # other surfaces than those of the parity


@dataclass(frozen=True)
class Loss:
    """How much is `lost` of the `measure`, and the metrics before and after, where labels are known; how many pictures
    calibrated and were judged, and where they come from. Stands in model.json."""

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
    """An ONNX file in eight bits, and what it loses."""

    content: bytes
    loss: Loss


@dataclass(frozen=True)
class Pictures:
    """Pictures (N, 3, h, w) uint8, labels (N,), 1 for positive, or nothing, where they come from, and which of them
    calibrate and which are judged."""

    images: Tensor
    labels: Tensor | None
    origin: str
    calibrating: slice = field(default_factory=lambda: slice(0, None, 2))
    judged: slice = field(default_factory=lambda: slice(1, None, 2))


def quantised_network(content: bytes, network: Network, options: ExportOptions) -> Quantised:
    """The ONNX file of `network` in eight bits. Raises UserError where it loses more than `max_loss`, and for pictures
    that cannot calibrate it."""
    pictures = _pictures(network, options)
    before = _answers(network, pictures.images)
    _check(pictures, before, network, options)
    chosen = pictures.images[pictures.calibrating][:CALIBRATED]
    made = quantised(content, _batches(chosen), keep=fine_layers(portable(network), chosen[:1]))
    judged = pictures.images[pictures.judged]
    answer = onnx_step(made, one_size=True)
    after = torch.cat([answer(batch) for batch in judged.split(BATCH)])
    labels = None if pictures.labels is None else pictures.labels[pictures.judged]
    lost = _lost(network, before[pictures.judged], after, labels)
    loss = Loss(*lost, pictures.origin, len(chosen), len(judged), options.max_loss)
    if loss.lost > loss.max_loss:
        raise UserError(
            f"precision=int8 loses {loss.lost:.4f} of {loss.measure} on {loss.judged_on} pictures "
            f"({loss.pictures}), more than max_loss={loss.max_loss:g}: keep float32, or give a larger max_loss"
        )
    log.info("int8 loses %.4f of %s on %d pictures", loss.lost, loss.measure, loss.judged_on)
    return Quantised(made, loss)


def _pictures(network: Network, options: ExportOptions) -> Pictures:
    """Of `source`, else of the training split, else drawn ones."""
    if options.source is not None:
        paths = [each.path for each in find_photographs(options.source).photographs]
        return _read(network, paths, _labels(network, paths), "source", options.max_megapixels)
    rows = [] if options.ckpt_path is None else _training_rows(options.ckpt_path)
    there = [row for row in rows if not_a_file(Path(row["path"])) is None]
    trained, validated = ([row for row in there if row["split"] == split] for split in ("train", "val"))
    if min(len(trained), len(validated)) < LEAST or isinstance(network, CrackMap):
        return _drawn(network)
    mixed = [some[k] for some in (trained, validated) for k in np.random.default_rng(0).permutation(len(some))]
    count = min(CALIBRATED, len(trained))
    kept = [*mixed[:count], *mixed[len(trained) : len(trained) + JUDGED]]
    labels = [int(row["label"] == network.decision.positive_class) for row in kept]
    images = [_sized(network, read_image(row["path"], megapixels=options.max_megapixels)) for row in kept]
    origin = "the training split, judged on validation"
    return Pictures(torch.stack(images), torch.tensor(labels), origin, slice(count), slice(count, None))


def _training_rows(ckpt_path: str) -> Sequence[Row]:
    table = expanded(ckpt_path).absolute().parent.parent / "split.csv"
    return read_split_rows(table) if table.is_file() else []


def _labels(network: Network, paths: Sequence[Path]) -> list[int] | None:
    """By the class folder that each lies in; nothing unless all do."""
    names, folders = network.decision.class_names, [path.parent.name for path in paths]
    if isinstance(network, CrackMap) or not set(folders) <= set(names):
        return None
    return [int(name == network.decision.positive_class) for name in folders]


def _read(
    network: Network, paths: Sequence[Path], labels: Sequence[int] | None, origin: str, megapixels: float
) -> Pictures:
    order = np.random.default_rng(0).permutation(len(paths))[: CALIBRATED + JUDGED]
    images = [_sized(network, read_image(paths[k], megapixels=megapixels)) for k in order]
    chosen = None if labels is None else torch.tensor([labels[k] for k in order])
    return Pictures(torch.stack(images) if images else torch.empty(0), chosen, origin)


def _sized(network: Network, image: Image.Image) -> Tensor:
    if not isinstance(network, CrackMap):
        return torch.as_tensor(plain_transform(network.image_size)(image))
    side = min(*image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    middle = image.crop((left, top, left + side, top + side)) if side < MAP_PX else _cut(image)
    return torch.from_numpy(np.array(middle.resize((MAP_PX, MAP_PX)))).permute(2, 0, 1)


def _cut(image: Image.Image) -> Image.Image:
    left, top = (image.width - MAP_PX) // 2, (image.height - MAP_PX) // 2
    return image.crop((left, top, left + MAP_PX, top + MAP_PX))


def _drawn(network: Network) -> Pictures:
    images, labels = [], []
    for number in range(DRAWN_MAPS if isinstance(network, CrackMap) else DRAWN):
        if isinstance(network, CrackMap):
            image, positive = lesson(None, SEED, number).image, 0
        else:
            positive = number // 2 % 2  # both in each half
            size_px = network.patch_px or DRAWN_PX
            image = drawn_surface(seed=SEED, index=number, positive=bool(positive), size_px=size_px)
        images.append(_sized(network, image))
        labels.append(positive)
    return Pictures(torch.stack(images), None if isinstance(network, CrackMap) else torch.tensor(labels), "drawn")


def _check(pictures: Pictures, before: Tensor, network: Network, options: ExportOptions) -> None:
    """Raise UserError for too few pictures, and for those of one class."""
    if len(pictures.images) < LEAST:
        raise UserError(
            f"source={options.source}: {len(pictures.images)} pictures are too few to calibrate int8 on: "
            f"{LEAST} at least, such as those of the training"
        )
    if isinstance(network, CrackMap):
        return
    positive = network.decision.is_positive(before[:, network.decision.positive_index])
    classes = positive if pictures.labels is None else pictures.labels
    if len(classes.unique()) < 2:
        name = network.decision.negative_first[int(classes[0])]
        raise UserError(
            f"source={options.source}: all {len(classes)} pictures are {name}; int8 is calibrated on both classes"
        )


@torch.no_grad()
def _answers(network: Network, images: Tensor) -> Tensor:
    """Probabilities (N, 2), or of cells (N, h, w), with 32 bits."""
    if isinstance(network, CrackMap):
        module = portable(network)
        return torch.cat([module(batch)[0] for batch in images.split(BATCH)])
    if not len(images):
        return torch.empty(0)
    features = pick_engine(network, "auto", images[:1])  # as predict takes it
    return torch.cat([network.probabilities(network.classify(features(batch))) for batch in images.split(BATCH)])


def _batches(images: Tensor) -> Iterator[np.ndarray]:
    return (batch.numpy() for batch in images.split(BATCH))


def _lost(
    network: Network, before: Tensor, after: Tensor, labels: Tensor | None
) -> tuple[float, str, dict[str, float], dict[str, float]]:
    """Returns what is lost, of what, and the metrics before and after where labels are known."""
    decision = network.cell_decision if isinstance(network, CrackMap) else network.decision
    index = decision.positive_index
    was, now = (each if isinstance(network, CrackMap) else each[:, index] for each in (before, after))
    cracked, marked = decision.is_positive(was), decision.is_positive(now)
    if isinstance(network, CrackMap):
        agreed = 2 * (cracked & marked).sum() / (cracked.sum() + marked.sum()).clamp(min=1)
        return 1 - agreed.item(), f"the F1 of cells of {CELL_PX} pixels, against those that float32 marks", {}, {}
    if labels is None:
        return (cracked != marked).float().mean().item(), "the decisions, against those of float32", {}, {}
    figures = [
        {name: value.item() for name, value in binary_metrics(decision, prefix="")(each, labels).items()}
        for each in (was, now)
    ]
    kept = ("accuracy", "auroc", "f1")
    first, second = ({name: each[name] for name in kept} for each in figures)
    lost = max(first[name] - second[name] for name in kept)
    return max(0.0, lost), "accuracy, AUROC or F1", first, second
