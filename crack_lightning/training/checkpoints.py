"""Saves and loads a run's checkpoints: their names in its folder are fixed, and they neither contain nor set a path."""

import io
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import read_checkpoint
from crack_lightning.system.files import write_atomically
from crack_lightning.training.history import EPOCHS, is_history

log = logging.getLogger(__name__)

BEST, LAST = "best.ckpt", "last.ckpt"
NEEDED_STATES = ("EpochHistory", "BestCheckpoint", "EarlyStopping")  # callbacks without whose states no run resumes
# Matches the key of BestCheckpoint's state in earlier versions, which held a score and paths, as Lightning's does.
FORMER_KEY = re.compile(r"(BestCheckpoint\{'monitor': '[\w/]*', 'mode': '\w*')(, '.*)?\}")
WORST_SCORES = {"min": math.inf, "max": -math.inf}  # by mode; replaces a score that is NaN


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file beside it, then renames that: a whole file exists at any time.

    Lightning writes to TMPDIR and moves the file, which truncates the old one first if TMPDIR is on another file
    system. Checkpoints are checked when they are read, and only the numbers in the states of callbacks are passed on.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        checkpoint = read_checkpoint(path)
        return checkpoint | {"callbacks": numeric_states(checkpoint["callbacks"])}


def write_checkpoint(checkpoint: Mapping[str, object], path: Path) -> None:
    """Writes a checkpoint to `path`; equal contents give equal bytes."""
    file = io.BytesIO()  # not the path: torch would store its name, and its error for a full disk is unclear
    torch.save(dict(checkpoint), file)
    write_atomically(path, file.getvalue())


class LastCheckpoint(Checkpoint):
    """Saves checkpoints/last.ckpt in the run folder after every epoch, from which a run can be resumed."""

    name, is_saved = LAST, False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.is_saved = Path(str(trainer.ckpt_path)).resolve() == _checkpoint_path(trainer, LAST).resolve()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not getattr(trainer, "fast_dev_run", False):
            trainer.save_checkpoint(_checkpoint_path(trainer, LAST), weights_only=False)
            self.is_saved = True


class BestCheckpoint(Checkpoint):
    """Saves checkpoints/best.ckpt in the run folder after each epoch with the best value of `monitor` so far.

    Its state is one number. A resumed run copies the best.ckpt that is beside the checkpoint given by the user.
    """

    name = BEST

    def __init__(self, monitor: str = "val/loss", mode: str = "min") -> None:
        if mode not in WORST_SCORES:
            raise UserError(f"callbacks.best_checkpoint.mode={mode}: must be min or max")
        self.monitor, self.mode = monitor, mode
        self.best_score: float | None = None

    @property
    def state_key(self) -> str:
        """Returns a key that contains metric and mode, so that the score of another metric is not loaded."""
        return self._generate_state_key(monitor=self.monitor, mode=self.mode)

    @property
    def is_saved(self) -> bool:
        """Returns whether this run, or the run that it resumes, has saved the file."""
        return self.best_score is not None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._path = _checkpoint_path(trainer, BEST)
        self._copies_files = trainer.is_global_zero

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._earlier_path = Path(str(trainer.ckpt_path)).with_name(BEST)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if getattr(trainer, "fast_dev_run", False):
            return
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics))
            raise UserError(f"callbacks.best_checkpoint.monitor={self.monitor}: there is no such metric, only {known}")
        score = float(trainer.callback_metrics[self.monitor])
        score = WORST_SCORES[self.mode] if math.isnan(score) else score
        if trainer.strategy.reduce_boolean_decision(self._is_better(score)):  # so that all processes decide the same
            self.best_score = score
            trainer.save_checkpoint(self._path, weights_only=False)

    def _is_better(self, score: float) -> bool:
        if self.best_score is None:
            return True
        return score < self.best_score if self.mode == "min" else score > self.best_score

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        score = state_dict["best_score"]
        if type(score) is not float:
            raise TypeError("the best score is not a float")
        if not _is_checkpoint(self._earlier_path):
            log.warning(
                "the best checkpoint so far, %s, is missing: only epochs from now on are compared", self._earlier_path
            )
            return
        if self._copies_files and self._earlier_path.resolve() != self._path.resolve():
            write_atomically(self._path, self._earlier_path.read_bytes())
        self.best_score = score


def checkpoint_to_test(trainer: Trainer) -> Path | None:
    """Returns the run's best checkpoint, or its last one if there is no best one, or None if it has saved neither."""
    callbacks = getattr(trainer, "callbacks", [])
    saved = {c.name for c in callbacks if isinstance(c, BestCheckpoint | LastCheckpoint) and c.is_saved}
    return next((_checkpoint_path(trainer, name) for name in (BEST, LAST) if name in saved), None)


def _checkpoint_path(trainer: Trainer, name: str) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / name


def _is_checkpoint(path: Path) -> bool:
    """Returns whether the file at `path` is a readable checkpoint of this package."""
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True


def numeric_states(states: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the states of callbacks, reduced to their numbers.

    Texts are dropped, because they may be paths, which a file must not choose for us.
    A state that holds anything but numbers and texts is dropped, for example that of Lightning's ModelCheckpoint,
    which removes and writes the files that its state names. From the state of BestCheckpoint in earlier versions, the
    score is kept. Raises TypeError instead of dropping the state of a callback in NEEDED_STATES.
    """
    kept = {}
    for name, state in states.items():
        if (earlier := FORMER_KEY.fullmatch(name)) and "best_model_score" in state:
            if _is_number(score := state["best_model_score"]) and score is not None:
                kept[f"{earlier[1]}}}"] = {"best_score": float(score)}
            continue
        numbers = {key: value for key, value in state.items() if not isinstance(value, str)}
        if all(_is_number(value) or (key == EPOCHS and is_history(value)) for key, value in numbers.items()):
            kept[name] = numbers
        elif name.startswith(NEEDED_STATES):
            raise TypeError(f"the state of {name} holds more than numbers")
        else:
            log.info("the state of %s in the checkpoint is ignored: it holds more than numbers", name)
    return kept


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | None) or (isinstance(value, Tensor) and value.numel() == 1)
