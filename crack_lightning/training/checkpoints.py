"""Keeping the best checkpoint, also when a run goes on in another folder."""

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from crack_lightning.models.checkpoint import read_checkpoint
from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: at every moment the older one or the new one is whole.

    Lightning writes to TMPDIR and moves, which on another file system truncates the older one first.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Put a checkpoint at `path`, the same bytes for the same contents."""
    file = io.BytesIO()  # of a path torch would keep the name, and a full disk would be a riddle of its own
    torch.save(dict(checkpoint), file)
    write_atomically(path, file.getvalue())


class BestCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` that takes the best one so far along when a run is resumed elsewhere.

    Lightning forgets the best score when the folder changes, and would then keep a worse checkpoint.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self._resumed_from = Path(trainer.ckpt_path).parent if trainer.ckpt_path else None
        self._copies_files = trainer.is_global_zero

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # Nothing of a path in the file but where the best one may be read: names to write to are this run's own.
        here = Path(str(self.dirpath), f"{self.filename}{self.FILE_EXTENSION}")
        earlier = Path(str(state_dict.get("best_model_path")))
        sources = [self._resumed_from / here.name] if self._resumed_from else []
        source = next((path for path in [*sources, earlier] if _is_checkpoint(path)), None)
        if source is None:
            log.warning("the best checkpoint so far, %s, is gone: the best is counted from here on", earlier)
            return
        if self._copies_files and source.resolve() != here.resolve():
            write_atomically(here, source.read_bytes())
        score = state_dict["best_model_score"]
        moved = {
            "dirpath": self.dirpath,
            "best_model_path": str(here),
            "best_k_models": {str(here): score},
            "kth_best_model_path": str(here),
            "last_model_path": "",
        }
        super().load_state_dict({**state_dict, **moved})


def _is_checkpoint(path: Path) -> bool:
    """Whether a file is there that this project can open."""
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True
