"""What a training run writes into its folder and into TensorBoard when it is over."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.evaluation.names import METRICS
from crack_lightning.evaluation.predictions import Judged, confidence_metrics
from crack_lightning.models.checkpoint import read_checkpoint
from crack_lightning.runs.card import write_card
from crack_lightning.runs.figures import drawn, judgement_figures
from crack_lightning.runs.folder import write_figures, write_metrics, write_predictions
from crack_lightning.runs.options import TrainOptions
from crack_lightning.training.history import EpochHistory
from crack_lightning.training.tensorboard import log_test

log = logging.getLogger(__name__)


def training_metrics(trainer: Trainer, history: EpochHistory) -> dict[str, float]:
    """Metrics of the test, and of training and validation in the epoch of the best checkpoint."""
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    epoch = read_checkpoint(best)["epoch"] if best else history.epochs[-1]["epoch"]
    row = next(row for row in history.epochs if row["epoch"] == epoch)
    figures = {name: value for name, value in row.items() if name.startswith(("train/", "val/"))}
    test = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
    return figures | test | {"epochs": len(history.epochs), "best_epoch": int(epoch) + 1}


def leave(
    folder: Path,
    judged: Judged,
    data: CrackDataModule,
    options: TrainOptions,
    metrics: Mapping[str, float],
    *,
    curves: Mapping[str, Figure],
    tensorboard: TensorBoardLogger | None,
) -> None:
    """Write the results into the run folder and to TensorBoard; `curves` are the figures of training."""
    metrics = dict(metrics) | confidence_metrics(judged, seed=options.seed)
    write_metrics(folder, metrics)
    write_predictions(folder, judged)
    write_card(folder, judged, data, options, metrics)
    figures = drawn(judgement_figures(judged, metrics)) if options.figures else {}
    write_figures(folder, figures | drawn(curves))
    if tensorboard is not None:
        _to_tensorboard(tensorboard, judged, figures, options, metrics)
    _tell(metrics, options)
    log.info("the run folder: %s", folder)


def _to_tensorboard(
    logger: TensorBoardLogger,
    judged: Judged,
    figures: Mapping[str, bytes],
    options: TrainOptions,
    metrics: Mapping[str, float],
) -> None:
    left_out = ("callbacks", "logger", "figures")
    settings = {key: value for key, value in asdict(options).items() if key not in left_out}
    log_test(
        logger,
        pictures=figures,
        probabilities=judged.probabilities,
        targets=judged.targets,
        settings=settings,
        metrics=metrics,
        epoch=int(metrics.get("epochs", 0)),
    )


def _tell(metrics: Mapping[str, float], options: TrainOptions) -> None:
    """The metrics of the test, with their intervals."""
    for name in (*METRICS, "loss"):
        low, high = (metrics.get(f"test/{name}_{side}") for side in ("low", "high"))
        interval = "" if low is None or high is None else f"  ({low:.4f} to {high:.4f})"
        log.info("test/%s %.4f%s", name, metrics[f"test/{name}"], interval)
    if "review/test_share" in metrics:
        share, rate = metrics["review/test_share"], metrics["review/test_error_rate"]
        text = "%.1f %% of the test needs review; of the rest %.2f %% is predicted wrongly"
        level = logging.WARNING if rate > (options.review_band or 0) else logging.INFO
        log.log(level, text, 100 * share, 100 * rate)
