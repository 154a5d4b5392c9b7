"""Trains a crack map on class folders: labelled patches move the head that was trained on synthetic cracks.

A lesson is a synthetic training picture.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure
from torch import Tensor

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, read_image
from crack_lightning.data.samples.listing import Sample, side_px
from crack_lightning.errors import UserError
from crack_lightning.evaluation.predictions import JudgedSamples
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patch_scores import map_logits, prepared_patch, score_and_slope
from crack_lightning.inference.patches import in_threads, one_core_each, pick_device
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.map_checkpoint import write_map
from crack_lightning.models.package_map import package_facts, package_map
from crack_lightning.models.taps import taps_of
from crack_lightning.models.weights import resolve_weights
from crack_lightning.report.figures import pull_figure
from crack_lightning.runs.judging.evaluating import metrics_of
from crack_lightning.runs.training.map_learning import level_for_photographs, train_head
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.results import write_results
from crack_lightning.system.processes import cores
from crack_lightning.system.progress import track
from crack_lightning.training.confidence import set_confidence
from crack_lightning.training.patch_head import PatchFit, fit_patches

log = logging.getLogger(__name__)

LEVEL_LESSONS = 48  # lessons on which the levels of the map are chosen


@dataclass
class PatchTraining:
    """Training of a crack map on class folders.

    The head has few weights, and its loss has one minimum, which is computed: there are no epochs. The options
    `optimizer`, `scheduler` and `callbacks` are not used, and of `trainer` only the accelerator is.
    """

    options: TrainOptions
    folder: Path
    logger: Logger | None

    def start(self) -> None:
        self.make_map = map_maker(self.options)

    def fit(self, data: CrackDataModule, provenance: Mapping[str, object]) -> dict[str, float]:
        options, started_s = self.options, time.perf_counter()
        network = self.make_map(patch_px=side_px(data.splits["train"]))
        train_initial_head(network, sound_paths(data), options)
        self.patch_fit = learn_patches(network, data)
        metrics = {"fit_seconds": time.perf_counter() - started_s, **_pull_metrics(self.patch_fit)}
        self.reader = CrackMapReader(network, engine=options.features.engine, patches=True)
        metrics |= _calibrate(self.reader, data.splits["val"], options)
        write_map(self.folder / "checkpoints/best.ckpt", network, provenance)
        return metrics

    def test(self, data: CrackDataModule) -> dict[str, float]:
        samples, network = data.splits["test"], self.reader.classifier
        logits = _logits(self.reader, samples, self.options)
        self.judged = JudgedSamples(network.cpu(), samples, network.positive_probabilities(logits))
        return metrics_of(self.judged, logits, "test")

    def write(self, data: CrackDataModule, metrics: dict[str, float]) -> None:
        options, loggers = self.options, [self.logger] if self.logger else []
        for logger in loggers:
            logger.log_metrics(metrics, 0)
        curves = _curves(self.patch_fit, options)
        write_results(self.folder, self.judged, data, options, metrics, curves=curves, loggers=loggers)


def map_maker(options: TrainOptions) -> Callable[..., CrackMap]:
    """Returns a function that makes the initial map, with its keyword `patch_px`.

    The initial map is the package's if that has this backbone and these weights, else one with an untrained head. The
    weights are found now, before any data is read.
    """
    first, second = options.data.class_names
    facts, device = package_facts(), pick_device("cpu" if options.trainer.accelerator == "cpu" else "auto")
    arguments: dict[str, Any] = {
        "decision": Decision((first, second), options.data.positive_class),
        "mm_per_px": options.data.mm_per_px,
    }
    taps_of(options.model.backbone)  # raises UserError before weights are downloaded in vain
    weights = resolve_weights(options.model.backbone, options.model.weights)
    is_package = (options.model.backbone, options.model.weights) == (facts["backbone"], facts["weights"])
    if is_package:
        return lambda **settings: package_map(**arguments, **settings, weights=weights).to(device)
    return lambda **settings: CrackMap(
        backbone=options.model.backbone, state_dict=weights[0], weights=weights[1].as_dict(), **arguments, **settings
    ).to(device)


def sound_paths(data: CrackDataModule) -> dict[str, list[Path]]:
    """Returns the paths of the sound pictures in each split, to draw cracks onto."""
    positive = data.class_names.index(data.options.positive_class)
    return {
        split: [sample.path for sample in members if sample.label != positive] for split, members in data.splits.items()
    }


def train_initial_head(network: CrackMap, surfaces: Mapping[str, Sequence[Path]], options: TrainOptions) -> None:
    """Trains the head on cracks drawn onto sound training pictures, unless it is trained already."""
    if network.weight.any():
        return
    head = train_head(
        network,
        surfaces["train"],
        count=int(options.model.lessons or 0),
        level_count=LEVEL_LESSONS,
        level_surfaces=surfaces["val"],
        seeds=(options.seed,),
    )
    network.set_levels(head.levels)


def learn_patches(network: CrackMap, data: CrackDataModule) -> PatchFit:
    """Changes the head of `network` and its levels to suit the labels of the training patches."""
    samples, positive = data.splits["train"], network.decision.positive_index
    paths, data_options = [sample.path for sample in samples], data.options
    scores, slopes = scores_and_slopes(
        network, paths, num_workers=data_options.num_workers, megapixels=data_options.max_megapixels
    )
    targets = torch.tensor([float(sample.label == positive) for sample in samples])
    groups = [sample.group for sample in samples]
    fit = fit_patches(scores, slopes, targets, groups, level=network.patch_level, scale=network.patch_scale)
    network.weight += fit.map_change.to(network.weight.device)
    network.patch_weight += fit.change.to(network.weight.device)
    network.set_levels({"patch_level": fit.level, "patch_scale": fit.scale})
    if fit.pull is not None:
        network.set_levels(
            level_for_photographs(network, sound_paths(data)["val"], count=LEVEL_LESSONS, seed=data.seed)
        )
    if fit.pull is None:
        log.warning("the labels do not improve predictions for patches that were left out: the head stays as it was")
    else:
        log.info("%d patches changed the head, against a pull to the former one of %g labels", len(samples), fit.pull)
    return fit


def scores_and_slopes(
    network: CrackMap, paths: Sequence[Path], *, num_workers: int | None = None, megapixels: float = MOST_MEGAPIXELS
) -> tuple[Tensor, Tensor]:
    """Returns the scores (n,) of patches, and how these change with each weight of the head: slopes (n, channels).

    `num_workers` threads compute them; None is one per core.
    """
    reader = CrackMapReader(network, engine="eager")

    def score_patch(path: Path) -> tuple[float, Tensor]:
        image = read_image(path, megapixels=megapixels)
        return score_and_slope(network, prepared_patch(reader, image))

    with one_core_each():
        results = list(track(in_threads(score_patch, paths, num_workers or cores()), "learning", total=len(paths)))
    return torch.tensor([score for score, _ in results]), torch.stack([slope for _, slope in results])


def _calibrate(reader: CrackMapReader, samples: Sequence[Sample], options: TrainOptions) -> dict[str, float]:
    """Sets temperature, threshold and review band on validation; returns the metrics of validation."""
    network = reader.classifier
    logits = _logits(reader, samples, options)
    labels = torch.tensor([sample.label for sample in samples])
    confidence = set_confidence(
        network,
        logits,
        labels,
        calibrate=options.calibrate,
        threshold=options.threshold,
        review_error_rate=options.review_band,
    )
    return confidence | metrics_of(
        JudgedSamples(network, samples, network.positive_probabilities(logits)), logits, "val"
    )


def _logits(reader: CrackMapReader, samples: Sequence[Sample], options: TrainOptions) -> Tensor:
    result = map_logits(
        reader,
        [sample.path for sample in samples],
        num_workers=options.data.num_workers,
        megapixels=options.data.max_megapixels,
    )
    if unread := [error for error in result.errors if error]:
        raise UserError(unread[0])
    return result.logits


def _pull_metrics(fit: PatchFit) -> dict[str, float]:
    return {} if fit.pull is None else {"patches/pull": fit.pull}


def _curves(fit: PatchFit, options: TrainOptions) -> dict[str, Figure]:
    return {"pull": pull_figure(fit.losses, chosen=fit.pull)} if fit.losses and options.figures else {}
