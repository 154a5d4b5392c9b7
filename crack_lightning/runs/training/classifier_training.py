"""Train a crack classifier, reload its best checkpoint, calibrate and test it."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.listing import Sample, side_px
from crack_lightning.data.samples.splits import class_weights
from crack_lightning.errors import UserError
from crack_lightning.evaluation.predictions import JudgedSamples
from crack_lightning.features.preparing import prepared
from crack_lightning.models.checkpoint import classifier_from, read_checkpoint
from crack_lightning.models.classifier import CrackClassifier, build_classifier
from crack_lightning.models.decision import Decision
from crack_lightning.runs.judging.run_figures import training_figures
from crack_lightning.runs.training.going_on import Checkpoint, go_on
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.preparation import prepare_split, provenance_of, write_config
from crack_lightning.runs.training.results import leave, training_metrics
from crack_lightning.system.arguments import typed
from crack_lightning.system.cache import cache_folder
from crack_lightning.system.processes import ctrl_c_says
from crack_lightning.training.checkpoints import LAST, WholeCheckpoints, checkpoint_to_test
from crack_lightning.training.confidence import keep_facts, logits_of, set_confidence
from crack_lightning.training.history import EpochHistory
from crack_lightning.training.images_bar import ImagesBar
from crack_lightning.training.optimizers import check_optimizer, check_scheduler
from crack_lightning.training.task import CrackTask

log = logging.getLogger(__name__)


def train_classifier(
    options: TrainOptions,
    folder: Path,
    *,
    callbacks: Sequence[Callback] = (),
    logger: Logger | bool = False,
    checkpoint: Checkpoint | None = None,
    overrides: Sequence[str] = (),
    most_processes: int | None = None,
) -> dict[str, float] | None:
    """Train as `options` say and write the run folder; returns the metrics, or None in all processes but the first.

    `checkpoint` is the content of `options.ckpt_path` when a run goes on. `overrides` are kept as a record of what was
    asked for. Raises UserError or OSError for what cannot be trained, before anything slow begins, and for more
    processes than `most_processes`.
    """
    _check(options, folder)
    seed_everything(options.seed, verbose=False)
    data = CrackDataModule(options.data, seed=options.seed, cache_dir=options.cache_dir)
    history = EpochHistory()
    trainer = _trainer(options, folder, [history, *callbacks], logger)
    _check_processes(trainer.world_size, most_processes, options.trainer.strategy)
    classifier = _classifier(options, checkpoint)
    leakage = prepare_split(data, folder, checkpoint, options.leakage)
    if trainer.is_global_zero:
        write_config(folder, options)
    task = _task(options, classifier, data, overrides)
    batches = _batches(trainer, classifier, data, options)
    if batches is None:
        return None
    if checkpoint is not None:
        go_on(trainer, data, checkpoint, options.trainer.max_epochs)
    fit_seconds = _fit(trainer, task, batches, folder, options.ckpt_path, history)
    if (tested := _test(trainer, task, batches, data.splits["test"], options)) is None:
        return None
    judged, confidence = tested
    metrics = training_metrics(trainer, history) | leakage | confidence | {"fit_seconds": fit_seconds}
    curves = _curves(task.classifier, history, metrics, shown=options.figures)
    leave(folder, judged, data, options, metrics, curves=curves, loggers=trainer.loggers)
    return metrics


def _curves(
    classifier: CrackClassifier, history: EpochHistory, metrics: Mapping[str, float], *, shown: bool
) -> dict[str, Figure]:
    return {} if not shown else training_figures(classifier, history.epochs, best_epoch=int(metrics["best_epoch"]))


def _check(options: TrainOptions, folder: Path) -> None:
    check_optimizer(options.optimizer)
    check_scheduler(options.scheduler)
    if (folder / "metrics.json").exists():
        log.warning("%s holds the results of another run, which will be overwritten", folder)


def _trainer(options: TrainOptions, folder: Path, callbacks: Sequence[Callback], logger: Logger | bool) -> Trainer:
    arguments = asdict(options.trainer)
    shown = arguments.pop("enable_progress_bar")
    shown = sys.stderr.isatty() if shown is None else shown
    bars: list[Callback] = [ImagesBar()] if shown else []
    try:
        return Trainer(
            **arguments,
            callbacks=[*bars, *callbacks],
            logger=logger,
            enable_progress_bar=shown,
            enable_checkpointing=any(isinstance(callback, CheckpointCallback) for callback in callbacks),
            default_root_dir=folder,
            plugins=[WholeCheckpoints()],
        )
    except Exception as error:  # Lightning raises whatever it likes on arguments that do not suit the machine
        raise UserError(f"trainer: {error} (trainer=cpu runs everywhere)") from error


def _check_processes(count: int, most: int | None, strategy: str) -> None:
    if most is not None and count > most:
        raise UserError(
            f"-m with {count} processes (trainer.strategy={strategy}) would start the whole sweep again in each "
            "process: give trainer.devices=1, or run its points one by one without -m"
        )


def _classifier(options: TrainOptions, checkpoint: Checkpoint | None) -> CrackClassifier:
    if checkpoint is not None:
        return classifier_from(checkpoint, str(options.ckpt_path)).train()
    first, second = options.data.class_names
    classifier = build_classifier(
        **{name: getattr(options.model, name) for name in ("backbone", "weights", "freeze", "dropout")},
        decision=Decision((first, second), options.data.positive_class),
        image_size=options.data.image_size,
    )
    weights = classifier.weights
    log.info("weights of %s: %s from %s", classifier.backbone, weights["name"], weights["source"])
    if classifier.frozen and weights["name"] == "null":
        log.warning("a frozen backbone with random weights learns little: model.freeze=false lets it learn")
    return classifier


def _task(
    options: TrainOptions, classifier: CrackClassifier, data: CrackDataModule, overrides: Sequence[str]
) -> CrackTask:
    classifier.patch_px, classifier.mm_per_px = side_px(data.splits["train"]), options.data.mm_per_px
    return CrackTask(
        classifier,
        optimizer=options.optimizer,
        scheduler=options.scheduler,
        seed=options.seed,
        class_weights=class_weights(data.splits["train"], len(data.class_names), options.task.class_weights),
        provenance=provenance_of(options, data.root, data.splits, overrides),
    )


def _batches(
    trainer: Trainer, classifier: CrackClassifier, data: CrackDataModule, options: TrainOptions
) -> LightningDataModule | None:
    """The pictures, or, if the backbone is frozen, their features, computed now if necessary."""
    cache, precision = cache_folder(options.cache_dir), str(options.trainer.precision)
    with ctrl_c_says(lambda: "the features computed so far are kept"):
        return prepared(trainer, classifier, data, options.features, cache=cache, precision=precision)


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
    place = None if ckpt_path is None else Path(ckpt_path).absolute()  # a name such as "last" means more to Lightning
    hint = f"go on with python train.py {typed('ckpt_path', str(last))}"
    try:
        with ctrl_c_says(lambda: hint if last.exists() else "no epoch was finished"):
            trainer.fit(task, batches, ckpt_path=place, weights_only=True)
    except Exception as error:  # whatever Lightning and torch raise for an invalid state
        if ckpt_path is None or history.goes_on or isinstance(error, UserError | OSError):
            raise
        kind = f"{type(error).__name__}: {error}"
        raise UserError(f"ckpt_path={ckpt_path} cannot be gone on from ({kind}): use another copy") from error
    return time.perf_counter() - started_s


def _test(
    trainer: Trainer, task: CrackTask, batches: LightningDataModule, samples: Sequence[Sample], options: TrainOptions
) -> tuple[JudgedSamples, dict[str, float]] | None:
    """Reload the best checkpoint, calibrate it on validation and test it in one process; returns None in the others."""
    tester = leave_group(trainer)
    if tester is None:
        return None
    # Not test(ckpt_path=...), which would restore the callbacks too and forget the epochs after the best one.
    if (best := checkpoint_to_test(trainer)) is not None:
        task.load_state_dict(read_checkpoint(best)["state_dict"])
    confidence = _confidence(task, batches, best, options)
    last = str(best.with_name(LAST)) if best else ""
    with ctrl_c_says(lambda: f"it is trained but not tested: python train.py {typed('ckpt_path', last)}"):
        tester.test(task, datamodule=batches, verbose=False)
    trainer.callback_metrics.update(tester.callback_metrics)
    probabilities = task.test_probabilities
    return JudgedSamples(task.classifier.cpu(), samples[: len(probabilities)], probabilities), confidence


def _confidence(
    task: CrackTask, batches: LightningDataModule, best: Path | None, options: TrainOptions
) -> dict[str, float]:
    """Calibrate on validation and store the result in the best checkpoint; returns the metrics of it."""
    if options.trainer.limit_val_batches is not None or options.trainer.fast_dev_run:
        threshold = task.classifier.decision.threshold
        log.info("not calibrated, since validation is limited: threshold %.2f", threshold)
        return {}
    logits, labels = logits_of(task, batches.val_dataloader())
    found = set_confidence(
        task.classifier,
        logits,
        labels,
        calibrate=options.calibrate,
        threshold=options.threshold,
        review_error_rate=options.review_band,
    )
    task.decide_anew()
    if best:
        keep_facts(best, task.classifier)
    return found


def leave_group(trainer: Trainer) -> Trainer | None:
    """A trainer that tests in this process alone; None in all processes but the first.

    Testing in several would count some images twice, since every process gets as many.
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
