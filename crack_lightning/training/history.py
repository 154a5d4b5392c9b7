"""Records and logs the metrics of each epoch of a training run."""

import logging
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)

EPOCHS = "epochs"  # key in the callback's state


class EpochHistory(Callback):
    """Records the metrics of every epoch, including those before a resume, and logs a line for each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.has_finished_epoch = False  # since this run was started or resumed
        self._started_s = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started_s = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.has_finished_epoch = True
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
            raise TypeError("the history of epochs is not valid")
        self.epochs = list(epochs)


def is_history(epochs: Any) -> bool:
    """Returns whether `epochs` is a list of dicts that map names to numbers."""
    return isinstance(epochs, list) and all(map(_is_row, epochs))


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and "epoch" in row and all(isinstance(value, int | float) for value in row.values())
