"""Writes the results of a training run into its folder and to its loggers."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from matplotlib.figure import Figure

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.evaluation.metric_names import METRICS
from crack_lightning.evaluation.predictions import JudgedSamples, confidence_metrics
from crack_lightning.runs.judging.run_figures import evaluation_figures, png_bytes
from crack_lightning.runs.judging.run_files import write_figures, write_metrics, write_predictions
from crack_lightning.runs.training.card import write_card
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.training.history import EpochHistory
from crack_lightning.training.tensorboard import log_test

log = logging.getLogger(__name__)


def training_metrics(trainer: Trainer, history: EpochHistory, epoch: int | None) -> dict[str, float]:
    """Returns the metrics of the test, and those of training and validation in the `epoch` of the best checkpoint, or
    in the last one."""
    best_epoch = int(history.epochs[-1]["epoch"]) if epoch is None else epoch
    row = next(row for row in history.epochs if row["epoch"] == best_epoch)
    epoch_metrics = {name: value for name, value in row.items() if name.startswith(("train/", "val/"))}
    test = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
    return epoch_metrics | test | {"epochs": len(history.epochs), "best_epoch": best_epoch + 1}


def write_results(
    folder: Path,
    judged: JudgedSamples,
    data: CrackDataModule,
    options: TrainOptions,
    metrics: Mapping[str, float],
    *,
    curves: Mapping[str, Figure],
    loggers: Sequence[Logger],
) -> None:
    """Writes the results into the run folder and to `loggers`. `curves` are the figures of training, by file name."""
    metrics = dict(metrics) | confidence_metrics(judged, seed=options.seed)
    write_metrics(folder, metrics)
    write_predictions(folder, judged)
    write_card(folder, judged, data, options, metrics)
    figures = png_bytes(evaluation_figures(judged, metrics)) if options.figures else {}
    write_figures(folder, figures | png_bytes(curves))
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            _log_to_tensorboard(logger, judged, figures, options, metrics)
        elif not isinstance(logger, CSVLogger):
            _log_to_other(logger, options, metrics)
    _log_metrics(metrics, options)
    log.info("the run folder: %s", folder)


def _log_to_tensorboard(
    logger: TensorBoardLogger,
    judged: JudgedSamples,
    figures: Mapping[str, bytes],
    options: TrainOptions,
    metrics: Mapping[str, float],
) -> None:
    log_test(
        logger,
        pictures=figures,
        probabilities=judged.probabilities,
        targets=judged.targets,
        settings=_settings(options),
        metrics=metrics,
        epoch=int(metrics.get("epochs", 0)),
    )


def _log_to_other(logger: Logger, options: TrainOptions, metrics: Mapping[str, float]) -> None:
    """Logs the configuration of a run and its final metrics to a logger that compares runs, such as MLflow."""
    logger.log_hyperparams(_settings(options))
    logger.log_metrics({name: value for name, value in metrics.items() if math.isfinite(value)})
    logger.finalize("success")


def _settings(options: TrainOptions) -> dict[str, Any]:
    """Returns the options that loggers show."""
    left_out = ("callbacks", "logger", "figures")
    return {key: value for key, value in asdict(options).items() if key not in left_out}


def _log_metrics(metrics: Mapping[str, float], options: TrainOptions) -> None:
    """Logs the metrics of the test with their intervals, and the share that needs review."""
    for name in (*METRICS, "loss"):
        low, high = (metrics.get(f"test/{name}_{side}") for side in ("low", "high"))
        interval = "" if low is None or high is None else f"  ({low:.4f} to {high:.4f})"
        log.info("test/%s %.4f%s", name, metrics[f"test/{name}"], interval)
    if "review/test_share" in metrics:
        share, rate = metrics["review/test_share"], metrics["review/test_error_rate"]
        text = "%.1f %% of the test needs review; of the rest %.2f %% is predicted wrongly"
        level = logging.WARNING if rate > (options.review_band or 0) else logging.INFO
        log.log(level, text, 100 * share, 100 * rate)
