"""Prepares training runs: finds, checks and splits photographs, and counts test images with a copy in training."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from crack_lightning import __version__
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.groups import count_seen_in_training
from crack_lightning.data.samples.splits import Splits, split_digest, write_split
from crack_lightning.runs.judging.run_files import write_unreadable
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.resuming import Checkpoint, check_split
from crack_lightning.system.cache import cache_folder
from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

LEAKAGE_MESSAGE = "test images with a copy in training: %d of %d (%s)"
# By kind of copy: the part of the metric's name, and the words of the message.
LEAKAGE_WORDS = {
    "exact": ("a_copy", "exact copies; leakage=near_duplicates or overlap looks for more"),
    "near_duplicates": ("a_near_copy", "near copies"),
    "overlap": ("a_shared_part", "near copies, or crops that share a part"),
}


def prepare_split(data: CrackDataModule, folder: Path, checkpoint: Checkpoint | None, leakage: str) -> dict[str, float]:
    """Finds and checks photographs and splits them, before anything slow begins; returns `leakage_metrics` of the
    split."""
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
    return leakage_metrics(data.splits, leakage, cache_dir=data.cache_dir, workers=data.num_workers)


def write_config(folder: Path, options: TrainOptions) -> None:
    """Writes config.yaml: the options as they were at the start of the run."""
    write_atomically(folder / "config.yaml", yaml.safe_dump(asdict(options), sort_keys=False).encode())


def provenance_of(options: TrainOptions, root: Path | None, splits: Splits, overrides: Sequence[str]) -> dict[str, Any]:
    """Returns what a checkpoint records about the run that writes it, as plain values."""
    return {
        "crack_lightning": __version__,
        "overrides": list(overrides),
        "config": asdict(options),
        "data_root": str(root),
        "split": split_digest(splits),
        "images": {split: len(samples) for split, samples in splits.items()},
    }


def leakage_metrics(splits: Splits, by: str, *, cache_dir: str | None, workers: int) -> dict[str, float]:
    """Logs and returns how many test images have an exact copy in training, and how many a copy of the kind `by`."""
    metrics: dict[str, float] = {}
    cache = cache_folder(cache_dir)
    for kind in dict.fromkeys(("exact", by)):
        name, text = LEAKAGE_WORDS[kind]
        leaked = count_seen_in_training(splits, by=kind, cache=cache, workers=workers)
        log.log(logging.WARNING if leaked else logging.INFO, LEAKAGE_MESSAGE, leaked, len(splits["test"]), text)
        metrics[f"split/test_images_with_{name}_in_training"] = leaked
    return metrics
