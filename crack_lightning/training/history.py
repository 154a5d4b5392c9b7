"""Keeps and logs the metrics of a training run, epoch by epoch."""

import logging
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)

EPOCHS = "epochs"


class EpochHistory(Callback):
    """Keeps the metrics of every epoch, also through a resume, and logs a line for each."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.goes_on = False  # whether an epoch has finished since the state of a resumed run was restored
        self._started_s = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started_s = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.goes_on = True
        metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.epochs.append({"epoch": trainer.current_epoch, **metrics})
        shown = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
        values = "  ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)
        seconds = time.monotonic() - self._started_s
        log.info("epoch %d/%s  %s  %.0f s", trainer.current_epoch + 1, trainer.max_epochs, values, seconds)

    def state_dict(self) -> dict[str, Any]:
        return {EPOCHS: self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        epochs = state_dict[EPOCHS]
        if not is_history(epochs):
            raise TypeError("the history of epochs is none")
        self.epochs = list(epochs)


def is_history(epochs: Any) -> bool:
    """Returns whether `epochs` are rows of numbers by name."""
    return isinstance(epochs, list) and all(map(_is_row, epochs))


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and "epoch" in row and all(isinstance(value, int | float) for value in row.values())
