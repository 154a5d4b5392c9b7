"""The checkpoints of a run: they lie in its folder under fixed names, and no path is kept in or taken from them."""

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
NEEDED_STATES = ("EpochHistory", "BestCheckpoint", "EarlyStopping")  # of callbacks; no run resumes without them
# The key of the best checkpoint's state in former versions, which kept a score and paths, as Lightning does.
FORMER_KEY = re.compile(r"(BestCheckpoint\{'monitor': '[\w/]*', 'mode': '\w*')(, '.*)?\}")
WORST = {"min": math.inf, "max": -math.inf}  # stands for a score that is not a number (NaN)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: at every moment the older one or the new one is whole.

    Lightning writes to TMPDIR and moves, which on another file system truncates the older one first. Checkpoints are
    checked when they are read, and of the states of callbacks only numbers are passed on.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        checkpoint = read_checkpoint(path)
        return checkpoint | {"callbacks": checked_states(checkpoint["callbacks"])}


def write_checkpoint(checkpoint: Mapping[str, object], path: Path) -> None:
    """Writes a checkpoint to `path`, the same bytes for the same contents."""
    file = io.BytesIO()  # given a path, torch would store its name and report a full disk unclearly
    torch.save(dict(checkpoint), file)
    write_atomically(path, file.getvalue())


class LastCheckpoint(Checkpoint):
    """Saves checkpoints/last.ckpt in the run folder after every epoch, to resume from."""

    name, is_saved = LAST, False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.is_saved = Path(str(trainer.ckpt_path)).resolve() == _checkpoint_path(trainer, LAST).resolve()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not getattr(trainer, "fast_dev_run", False):
            trainer.save_checkpoint(_checkpoint_path(trainer, LAST), weights_only=False)
            self.is_saved = True


class BestCheckpoint(Checkpoint):
    """Saves checkpoints/best.ckpt in the run folder after the epochs whose `monitor` is the best so far.

    Its state is one number. A resumed run takes the best.ckpt beside the checkpoint that its user named.
    """

    name = BEST

    def __init__(self, monitor: str = "val/loss", mode: str = "min") -> None:
        if mode not in WORST:
            raise UserError(f"callbacks.best_checkpoint.mode={mode}: min or max")
        self.monitor, self.mode = monitor, mode
        self.best_score: float | None = None

    @property
    def state_key(self) -> str:
        """Returns a key with the metric and mode: the score of another metric is not a score of this one."""
        return self._generate_state_key(monitor=self.monitor, mode=self.mode)

    @property
    def is_saved(self) -> bool:
        """Returns whether the file is of this run, or of the one that it resumes."""
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
            raise UserError(f"callbacks.best_checkpoint.monitor={self.monitor}: no such metric. There are {known}")
        score = float(trainer.callback_metrics[self.monitor])
        score = WORST[self.mode] if math.isnan(score) else score
        if trainer.strategy.reduce_boolean_decision(self._is_better(score)):  # all processes agree
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
            raise TypeError("the best score is not a number")
        if not _is_checkpoint(self._earlier_path):
            log.warning("the best checkpoint so far, %s, is gone: the best is counted from here on", self._earlier_path)
            return
        if self._copies_files and self._earlier_path.resolve() != self._path.resolve():
            write_atomically(self._path, self._earlier_path.read_bytes())
        self.best_score = score


def checkpoint_to_test(trainer: Trainer) -> Path | None:
    """Returns the best checkpoint of the run, or the last where no best one is kept; None where none was saved."""
    callbacks = getattr(trainer, "callbacks", [])
    saved = {c.name for c in callbacks if isinstance(c, BestCheckpoint | LastCheckpoint) and c.is_saved}
    return next((_checkpoint_path(trainer, name) for name in (BEST, LAST) if name in saved), None)


def _checkpoint_path(trainer: Trainer, name: str) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / name


def _is_checkpoint(path: Path) -> bool:
    """Returns whether the file at `path` is a checkpoint that this project can open."""
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True


def checked_states(states: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the states of callbacks, only the numbers of each: a text may be a path, which no file may choose for us.

    A state that holds anything else is left out as a whole, such as the one of Lightning's ModelCheckpoint, which
    removes and writes the files that it names; of a former version's best checkpoint the score is taken. Raises
    TypeError for such a state of a callback that every run has.
    """
    kept = {}
    for name, state in states.items():
        if (former := FORMER_KEY.fullmatch(name)) and "best_model_score" in state:
            if _is_number(score := state["best_model_score"]) and score is not None:
                kept[f"{former[1]}}}"] = {"best_score": float(score)}
            continue
        numbers = {key: value for key, value in state.items() if not isinstance(value, str)}
        if all(_is_number(value) or (key == EPOCHS and is_history(value)) for key, value in numbers.items()):
            kept[name] = numbers
        elif name.startswith(NEEDED_STATES):
            raise TypeError(f"the state of {name} holds more than numbers")
        else:
            log.info("the state of %s is not taken from the checkpoint: it holds more than numbers", name)
    return kept


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | None) or (isinstance(value, Tensor) and value.numel() == 1)
