"""What stands before every training run: photographs found, checked and split, and what the test has seen of them."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crack_lightning import __version__
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.splits import split_digest, write_split
from crack_lightning.runs.folder import write_unreadable
from crack_lightning.runs.going_on import Checkpoint, check_split
from crack_lightning.runs.leakage import leakage_metrics
from crack_lightning.runs.options import TrainOptions

log = logging.getLogger(__name__)


def prepare_split(data: CrackDataModule, folder: Path, checkpoint: Checkpoint | None, leakage: str) -> dict[str, float]:
    """Find, check and split the photographs before anything slow begins; returns the leakage of the split."""
    data.prepare_data()
    try:
        data.setup()
    finally:
        write_unreadable(folder, data.unreadable)
    if data.unreadable:
        log.warning("%d unreadable images left out: %s", len(data.unreadable), folder / "unreadable.csv")
    if checkpoint is not None:
        check_split(checkpoint, data)
    write_split(folder / "split.csv", data.splits, data.class_names)
    return leakage_metrics(data, leakage)


def provenance_of(options: TrainOptions, data: CrackDataModule, overrides: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint says of the run that wrote it: plain values."""
    return {
        "crack_lightning": __version__,
        "overrides": list(overrides),
        "config": asdict(options),
        "data_root": str(data.root),
        "split": split_digest(data.splits),
        "images": {split: len(samples) for split, samples in data.splits.items()},
    }
