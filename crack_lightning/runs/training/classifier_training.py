"""Trains a crack classifier, reloads its best checkpoint, calibrates and tests it."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.listing import Sample, side_px
from crack_lightning.data.samples.splits import class_weights
from crack_lightning.errors import UserError
from crack_lightning.evaluation.predictions import JudgedSamples
from crack_lightning.features.preparing import training_data
from crack_lightning.models.checkpoint import classifier_from, read_checkpoint
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.decision import Decision
from crack_lightning.models.weights import resolve_weights
from crack_lightning.runs.judging.run_figures import training_figures
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.results import training_metrics, write_results
from crack_lightning.runs.training.resuming import Checkpoint, resume
from crack_lightning.system.arguments import typed
from crack_lightning.system.cache import cache_folder
from crack_lightning.system.files import expanded
from crack_lightning.system.processes import interrupt_message
from crack_lightning.training.checkpoints import LAST, WholeCheckpoints, checkpoint_to_test
from crack_lightning.training.confidence import logits_of, save_facts, set_confidence
from crack_lightning.training.history import EpochHistory
from crack_lightning.training.images_bar import ImagesBar
from crack_lightning.training.optimizers import check_optimizer, check_scheduler
from crack_lightning.training.task import CrackTask

log = logging.getLogger(__name__)


@dataclass
class ClassifierTraining:
    """Training of a classifier by Lightning, on pictures, or on the features that a frozen backbone computes.

    `checkpoint` is the checkpoint to resume from, None for a new run. `most_processes` is None without a limit.
    """

    options: TrainOptions
    folder: Path
    callbacks: list[Callback]
    logger: Logger | None
    checkpoint: Checkpoint | None
    most_processes: int | None
    history: EpochHistory = field(default_factory=EpochHistory)

    def start(self) -> None:
        options = self.options
        _check_options(options, self.folder)
        self.trainer = _make_trainer(options, self.folder, [self.history, *self.callbacks], self.logger)
        _check_processes(self.trainer.world_size, self.most_processes, options.trainer.strategy)
        if self.checkpoint is not None:
            self.resumed_classifier = classifier_from(self.checkpoint, str(options.ckpt_path)).train()
        else:
            torch.manual_seed(options.seed)
            self.weights = resolve_weights(options.model.backbone, options.model.weights)
            self.rng_state = torch.get_rng_state()
            source = self.weights[1].as_dict()
            log.info("weights of %s: %s from %s", options.model.backbone, source["name"], source["source"])
            if options.model.freeze and source["name"] == "null":
                log.warning("a frozen backbone with random weights learns little: model.freeze=false lets it learn")

    def fit(self, data: CrackDataModule, provenance: Mapping[str, object]) -> dict[str, float] | None:
        options, trainer = self.options, self.trainer
        classifier = self._make_classifier(data)
        self.task = CrackTask(
            classifier,
            optimizer=options.optimizer,
            scheduler=options.scheduler,
            seed=options.seed,
            class_weights=class_weights(data.splits["train"], len(data.class_names), options.task.class_weights),
            provenance=provenance,
        )
        batches = _make_batches(trainer, classifier, data, options)
        if batches is None:
            return None
        self.batches = batches
        if self.checkpoint is not None:
            resume(trainer, data, self.checkpoint, options.trainer.max_epochs)
        return {"fit_seconds": _fit(trainer, self.task, batches, self.folder, options.ckpt_path, self.history)}

    def _make_classifier(self, data: CrackDataModule) -> CrackClassifier:
        options = self.options
        if self.checkpoint is not None:
            return self.resumed_classifier
        (first, second), (state_dict, source) = options.data.class_names, self.weights
        torch.set_rng_state(self.rng_state)  # so that the data does not change the head's initial weights
        return CrackClassifier(
            **{name: getattr(options.model, name) for name in ("backbone", "freeze", "dropout")},
            decision=Decision((first, second), options.data.positive_class),
            image_size=options.data.image_size,
            patch_px=side_px(data.splits["train"]),
            mm_per_px=options.data.mm_per_px,
            weights=source.as_dict(),
            state_dict=state_dict,
        )

    def test(self, data: CrackDataModule) -> dict[str, float] | None:
        result = _test_best(self.trainer, self.task, self.batches, data.splits["test"], self.options)
        if result is None:
            return None
        self.judged, confidence, epoch = result
        return training_metrics(self.trainer, self.history, epoch) | confidence

    def write(self, data: CrackDataModule, metrics: dict[str, float]) -> None:
        curves = _curves(self.task.classifier, self.history, metrics, shown=self.options.figures)
        loggers = self.trainer.loggers
        write_results(self.folder, self.judged, data, self.options, metrics, curves=curves, loggers=loggers)


def _curves(
    classifier: CrackClassifier, history: EpochHistory, metrics: Mapping[str, float], *, shown: bool
) -> dict[str, Figure]:
    return {} if not shown else training_figures(classifier, history.epochs, best_epoch=int(metrics["best_epoch"]))


def _check_options(options: TrainOptions, folder: Path) -> None:
    check_optimizer(options.optimizer)
    check_scheduler(options.scheduler)
    if (folder / "metrics.json").exists():
        log.warning("%s holds the results of another run, which will be overwritten", folder)


def _make_trainer(options: TrainOptions, folder: Path, callbacks: Sequence[Callback], logger: Logger | None) -> Trainer:
    arguments = asdict(options.trainer)
    shown = arguments.pop("enable_progress_bar")
    shown = sys.stderr.isatty() if shown is None else shown
    bars: list[Callback] = [ImagesBar()] if shown else []
    try:
        return Trainer(
            **arguments,
            callbacks=[*bars, *callbacks],
            logger=logger or False,
            enable_progress_bar=shown,
            enable_checkpointing=any(isinstance(callback, CheckpointCallback) for callback in callbacks),
            default_root_dir=folder,
            plugins=[WholeCheckpoints()],
        )
    except Exception as error:  # Lightning raises errors of any type for arguments that do not suit the machine
        raise UserError(f"trainer: {error} (trainer=cpu runs everywhere)") from error


def _check_processes(count: int, most: int | None, strategy: str) -> None:
    if most is not None and count > most:
        raise UserError(
            f"-m with {count} processes (trainer.strategy={strategy}) would start the whole sweep again in each "
            "process: give trainer.devices=1, or run its points one by one without -m"
        )


def _make_batches(
    trainer: Trainer, classifier: CrackClassifier, data: CrackDataModule, options: TrainOptions
) -> LightningDataModule | None:
    """Returns batches of pictures or, if the backbone is frozen, of their features, which are computed if necessary."""
    cache, precision = cache_folder(options.cache_dir), str(options.trainer.precision)
    with interrupt_message(lambda: "the features computed so far are kept"):
        return training_data(trainer, classifier, data, options.features, cache=cache, precision=precision)


def _fit(
    trainer: Trainer,
    task: CrackTask,
    batches: LightningDataModule,
    folder: Path,
    ckpt_path: str | None,
    history: EpochHistory,
) -> float:
    started_s = time.perf_counter()
    last = folder / "checkpoints" / LAST
    # Absolute, because Lightning gives names such as "last" a special meaning.
    start_path = None if ckpt_path is None else expanded(ckpt_path).absolute()
    hint = f"continue with python train.py {typed('ckpt_path', str(last))}"
    try:
        with interrupt_message(lambda: hint if last.exists() else "no epoch was finished"):
            trainer.fit(task, batches, ckpt_path=start_path, weights_only=True)
    except Exception as error:  # Lightning and torch raise errors of any type for an invalid state
        if ckpt_path is None or history.has_finished_epoch or isinstance(error, UserError | OSError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"ckpt_path={ckpt_path} cannot be continued from ({reason}): use another copy") from error
    return time.perf_counter() - started_s


def _test_best(
    trainer: Trainer, task: CrackTask, batches: LightningDataModule, samples: Sequence[Sample], options: TrainOptions
) -> tuple[JudgedSamples, dict[str, float], int | None] | None:
    """Reloads the best checkpoint, calibrates and tests it in the first process; returns None in other processes.

    The last value is the checkpoint's epoch, counted from 0, None without a checkpoint."""
    tester = single_process_trainer(trainer)
    if tester is None:
        return None
    # test(ckpt_path=...) would restore the callbacks too, and they would forget the epochs after the best one.
    checkpoint = None
    if (best := checkpoint_to_test(trainer)) is not None:
        checkpoint = read_checkpoint(best)
        task.load_state_dict(checkpoint["state_dict"])
    confidence = _calibrate(task, batches, options)
    if best is not None and checkpoint is not None and confidence:
        save_facts(best, checkpoint, task.classifier)
    last = str(best.with_name(LAST)) if best else ""
    with interrupt_message(lambda: f"it is trained but not tested: run python train.py {typed('ckpt_path', last)}"):
        tester.test(task, datamodule=batches, verbose=False)
    trainer.callback_metrics.update(tester.callback_metrics)
    probabilities = task.test_probabilities
    judged = JudgedSamples(task.classifier.cpu(), samples[: len(probabilities)], probabilities)
    return judged, confidence, None if checkpoint is None else int(checkpoint["epoch"])


def _calibrate(task: CrackTask, batches: LightningDataModule, options: TrainOptions) -> dict[str, float]:
    """Calibrates on validation, and returns the metrics of that; none where validation is limited."""
    if options.trainer.limit_val_batches is not None or options.trainer.fast_dev_run:
        threshold = task.classifier.decision.threshold
        log.info("not calibrated, because validation is limited: the threshold stays %.2f", threshold)
        return {}
    logits, labels = logits_of(task, batches.val_dataloader())
    confidence = set_confidence(
        task.classifier,
        logits,
        labels,
        calibrate=options.calibrate,
        threshold=options.threshold,
        review_error_rate=options.review_band,
    )
    task.rebuild_test_metrics()
    return confidence


def single_process_trainer(trainer: Trainer) -> Trainer | None:
    """Returns a trainer that tests in the first process alone; ends the group of processes, returns None in the others.

    A test in several processes would count some images twice, since every process gets the same number of images.
    """
    if trainer.world_size == 1:
        return trainer
    trainer.strategy.barrier("trained")
    device = trainer.strategy.root_device
    first = trainer.is_global_zero
    torch.distributed.destroy_process_group()
    if not first:
        return None
    return Trainer(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        precision=trainer.precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=trainer.progress_bar_callback is not None,
        enable_model_summary=False,
        limit_test_batches=trainer.limit_test_batches,
    )
