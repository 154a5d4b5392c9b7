"""Keeping the best checkpoint, also when a run goes on in another folder."""

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from crack_lightning.data.files import write_atomically

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` that takes the best one so far along when a run is resumed elsewhere.

    Lightning forgets the best score when the folder changes, and would then keep a worse checkpoint.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self._resumed_from = Path(trainer.ckpt_path).parent if trainer.ckpt_path else None
        self._copies_files = trainer.is_global_zero

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        earlier = Path(state_dict["best_model_path"])
        here = Path(str(self.dirpath), earlier.name)
        sources = [self._resumed_from / earlier.name] if self._resumed_from else []
        source = next((path for path in [*sources, earlier] if path.is_file()), None)
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
