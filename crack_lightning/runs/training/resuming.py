"""Resumes a training run from a checkpoint, on the same photographs, with the epoch after the checkpoint's."""

import logging
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.splits import split_digest
from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import FACTS_KEY

log = logging.getLogger(__name__)

Checkpoint = Mapping[str, Any]  # the content of a checkpoint file


def check_split(checkpoint: Checkpoint, data: CrackDataModule) -> None:
    """Raises UserError if the photographs, and therefore the split, differ from those of the checkpoint's run."""
    provenance = checkpoint[FACTS_KEY]["provenance"]
    if split_digest(data.splits) != provenance.get("split"):
        raise UserError(
            f"the photographs in {data.root} are no longer those that {provenance.get('data_root')} held when the "
            "checkpoint was written: images of training would be in the test. Restore the folder as it was, or start "
            "a new run"
        )


def resume(trainer: Trainer, data: CrackDataModule, checkpoint: Checkpoint, max_epochs: int) -> None:
    """Makes training continue with the epoch after the checkpoint's or, if training had ended, with the test."""
    data.first_epoch = checkpoint["epoch"] + 1
    if has_ended(checkpoint, max_epochs):
        log.info("all epochs are finished: only calibration and the test remain")
        trainer.fit_loop.max_epochs = checkpoint["epoch"] + 1


def has_ended(checkpoint: Checkpoint, max_epochs: int) -> bool:
    """Returns whether the checkpoint's run had finished training: all its epochs are done, or it was stopped early."""
    if 0 < max_epochs <= checkpoint["epoch"] + 1:
        return True
    states = checkpoint["callbacks"].values() if isinstance(checkpoint["callbacks"], dict) else []
    waits = [(state.get("wait_count"), state.get("patience")) for state in states if isinstance(state, dict)]
    return any(isinstance(wait, int) and isinstance(patience, int) and wait >= patience for wait, patience in waits)
