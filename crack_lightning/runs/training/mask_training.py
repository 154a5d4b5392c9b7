"""Trains a crack map on photographs with masks: real cracks move the head that was trained on synthetic ones.

A lesson is a synthetic training picture.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from PIL import Image
from torch import Tensor

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.images.reading import read_image
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.masks import mask_of
from crack_lightning.evaluation.cell_counts import masked_cells, near
from crack_lightning.features.cells import Cells, join_cells, pick_cells, sample_cells
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.framing import scales_of, without_margin
from crack_lightning.inference.patch_scores import picture_tensor
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import write_map
from crack_lightning.models.shape_correction import joined
from crack_lightning.runs.judging.mask_results import evaluate_photographs, log_test_metrics, write_mask_results
from crack_lightning.runs.training.card import write_mask_card
from crack_lightning.runs.training.map_learning import TOLERANCE_CELLS, best_level, lessons
from crack_lightning.runs.training.map_training import map_maker, train_initial_head
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.system.progress import track
from crack_lightning.training.cell_head import fit_head

log = logging.getLogger(__name__)

# Most cells of each kind from a tile: on a crack, beside one, far from cracks but crack-like, far from cracks.
MAX_CELLS = (400, 150, 400, 200)
CRACK_LIKE_SHARE = 0.1  # share of the cells far from cracks, those with the highest logits, that count as crack-like
TILE_PX, MAX_TILES = 512, 12  # side of the random tiles of a photograph that is not small, and most of them
LESSON_COUNT = 200  # lessons learned again with the photographs, so that the head still knows what is not a crack
PULLS = (0.03, 0.1, 0.5, 2.0)  # pulls towards the head that was trained on synthetic cracks; validation chooses one

Array = np.ndarray


@dataclass
class MaskTraining:
    """Training of a crack map on photographs with masks."""

    options: TrainOptions
    folder: Path
    logger: Logger | None

    def start(self) -> None:
        self.make_map = map_maker(self.options)

    def fit(self, data: CrackDataModule, provenance: Mapping[str, object]) -> dict[str, float]:
        options, started_s = self.options, time.perf_counter()
        self.network = self.make_map()
        train_initial_head(self.network, {"train": [], "val": []}, options)
        metrics = learn_masks(self.network, data.splits["train"], data.splits["val"], options)
        metrics["fit_seconds"] = time.perf_counter() - started_s
        write_map(self.folder / "checkpoints/best.ckpt", self.network, provenance)
        return metrics

    def test(self, data: CrackDataModule) -> dict[str, float]:
        options, reader = self.options, CrackMapReader(self.network, engine=self.options.features.engine)
        settings = {"tolerance": TOLERANCE_CELLS, "megapixels": options.data.max_megapixels, "seed": options.seed}
        self.evaluated, metrics = evaluate_photographs(reader, data.splits["test"], **settings)  # type: ignore[arg-type]
        return metrics

    def write(self, data: CrackDataModule, metrics: dict[str, float]) -> None:
        write_mask_results(self.folder, self.evaluated, metrics, figures=self.options.figures)
        counts = {split: len(members) for split, members in data.splits.items()}
        write_mask_card(
            self.folder, self.network, self.evaluated, counts, metrics, self.options, tolerance=TOLERANCE_CELLS
        )
        if self.logger is not None:
            self.logger.log_metrics(metrics, 0)
            self.logger.save()
        log_test_metrics(metrics)
        log.info("the run folder: %s", self.folder)


def learn_masks(
    network: CrackMap, train: Sequence[Sample], val: Sequence[Sample], options: TrainOptions
) -> dict[str, float]:
    """Fits a head to the cells of `train` and of lessons with each of PULLS, and gives `network` the best head.

    The best head, possibly the old one, is the one that marks `val` best. Returns its metrics.
    """
    generator, megapixels = torch.Generator().manual_seed(options.seed), options.data.max_megapixels
    real = [
        part
        for sample in track(train, "learning", total=len(train), unit="photographs")
        for part in _sample_cells(network, sample, generator, megapixels=megapixels)
    ]
    synthetic = [sample_cells(network, block, generator) for block in lessons([], 0, LESSON_COUNT, options.seed)]
    cells, prior = join_cells([*real, *synthetic], generator), (network.weight.cpu().clone(), network.bias.item())
    log.info("%d cells of %d photographs and %d synthetic pictures", len(cells.kinds), len(train), LESSON_COUNT)
    candidates: list[tuple[float, float, Tensor, float, dict[str, float]]] = []
    for pull in (None, *PULLS):
        weight, bias = prior if pull is None else fit_head(cells, l2=pull, prior=prior)
        _set_head(network, weight, bias)
        f1, levels = _best_levels(network, val, megapixels)
        log.info("F1 of cells %.3f on validation: %s", f1, "the old head" if pull is None else f"pull {pull:g}")
        candidates.append((f1, np.inf if pull is None else pull, weight, bias, levels))
    f1, pull, weight, bias, levels = max(candidates, key=lambda candidate: candidate[0])
    _set_head(network, weight, bias)
    network.set_levels(levels)
    return {"val/cells_f1": f1, **({"masks/pull": pull} if np.isfinite(pull) else {}), **levels}


def _set_head(network: CrackMap, weight: Tensor, bias: float) -> None:
    network.weight.copy_(weight)
    network.bias.fill_(bias)


@torch.no_grad()
def _sample_cells(
    network: CrackMap, sample: Sample, generator: torch.Generator, *, megapixels: float
) -> Iterator[Cells]:
    """Yields random cells of each kind, with the features that the map computes, from each tile of a photograph."""
    image = read_image(sample.path, megapixels=megapixels)
    mask = mask_of(sample, image.size, megapixels=megapixels)
    for box in _boxes(image.size, generator):
        left, top, right, bottom = box
        features = _features(network, image.crop(box))
        truth = torch.from_numpy(masked_cells(mask[top:bottom, left:right]))
        yield pick_cells(features, _kind_masks(network, features, truth), generator, most=MAX_CELLS, thin=False)


def _features(network: CrackMap, tile: Image.Image) -> Tensor:
    """Returns the features (channels, h/4, w/4) of a tile that the head is applied to, joined over the scales."""
    device = network.weight.device
    cells = [
        without_margin(network.cells(picture_tensor(picture, device)), picture).cpu() for picture in scales_of(tile)
    ]
    return joined(cells)[0]


def _boxes(size: tuple[int, int], generator: torch.Generator) -> list[tuple[int, int, int, int]]:
    """Returns one box around a photograph of up to two tiles a side, else boxes of random tiles from a grid."""
    width, height = size
    if max(size) <= 2 * TILE_PX:
        return [(0, 0, width, height)]
    corners = [(x, y) for y in range(0, height, TILE_PX) for x in range(0, width, TILE_PX)]
    indices = torch.randperm(len(corners), generator=generator)[:MAX_TILES].tolist()
    boxes = [(x, y, min(x + TILE_PX, width), min(y + TILE_PX, height)) for x, y in (corners[k] for k in indices)]
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= TILE_PX // 4]


def _kind_masks(network: CrackMap, features: Tensor, truth: Tensor) -> list[Tensor]:
    """Returns a mask (h, w) for each kind of cells, as in MAX_CELLS. Crack-like cells count as a lesson's clutter."""
    beside = torch.from_numpy(near(truth.numpy(), 1)) & ~truth
    far = ~torch.from_numpy(near(truth.numpy(), 3))
    logits = torch.einsum("chw,c->hw", features, network.weight.cpu())
    level = logits[far].quantile(1 - CRACK_LIKE_SHARE) if far.any() else logits.max()
    return [truth, beside, far & (logits >= level), far & (logits < level)]


def _best_levels(network: CrackMap, val: Sequence[Sample], megapixels: float) -> tuple[float, dict[str, float]]:
    """Returns the F1 of cells over all validation photographs at the levels that suit them best, and these levels."""
    reader = CrackMapReader(network, engine="folded")
    maps, truths = list[Array](), list[Array]()
    for sample in val:
        image = read_image(sample.path, megapixels=megapixels)
        truths.append(masked_cells(mask_of(sample, image.size, megapixels=megapixels)))
        maps.append(reader.above_median(reader.prepared(image)).numpy())
    level, counts = best_level(maps, truths)
    return counts.f1, {"level": level}
