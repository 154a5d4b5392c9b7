"""Trains a network in steps that are the same for all methods."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import Logger

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.runs.training.classifier_training import ClassifierTraining
from crack_lightning.runs.training.map_training import PatchTraining
from crack_lightning.runs.training.mask_training import MaskTraining
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.preparation import prepare_split, provenance_of, write_config
from crack_lightning.runs.training.resuming import Checkpoint


class Method(Protocol):
    """A method of training: how the head is trained, its confidence calibrated, the best checkpoint tested, and the
    results written."""

    def start(self) -> None:
        """Checks the options before any data is read, and finds the weights of the backbone."""

    def fit(self, data: CrackDataModule, provenance: Mapping[str, object]) -> dict[str, float] | None:
        """Trains the head and writes the checkpoint; returns metrics, or None if this process has nothing to test."""

    def test(self, data: CrackDataModule) -> dict[str, float] | None:
        """Calibrates on validation and tests the best checkpoint; returns metrics, but None in all processes except
        one."""

    def write(self, data: CrackDataModule, metrics: dict[str, float]) -> None:
        """Writes metrics, tables, model card and figures into the run folder, and logs them to the loggers."""


def train_network(
    options: TrainOptions,
    folder: Path,
    *,
    callbacks: Sequence[Callback] = (),
    logger: Logger | None = None,
    checkpoint: Checkpoint | None = None,
    overrides: Sequence[str] = (),
    most_processes: int | None = None,
) -> dict[str, float] | None:
    """Trains as `options` say and writes the run folder; returns the metrics, or None in all processes but the first.

    `checkpoint` is the content of `options.ckpt_path`, for a run that is resumed. `overrides` are only recorded.
    `callbacks`, `checkpoint` and `most_processes` matter for a classifier only, since the head of a crack map is
    computed at once. Raises UserError or OSError, before anything slow begins, for options that cannot be used and for
    more processes than `most_processes`.
    """
    method: Method
    if not options.model.is_map:
        method = ClassifierTraining(options, folder, list(callbacks), logger, checkpoint, most_processes)
    else:
        method = (MaskTraining if options.data.layout == MASKED else PatchTraining)(options, folder, logger)
    method.start()
    seed_everything(options.seed, verbose=False)
    data = CrackDataModule(options.data, seed=options.seed, cache_dir=options.cache_dir)
    leakage = prepare_split(data, folder, checkpoint, options.leakage)
    write_config(folder, options)
    fitted = method.fit(data, provenance_of(options, data.root, data.splits, overrides))
    tested = None if fitted is None else method.test(data)
    if fitted is None or tested is None:
        return None
    metrics = fitted | leakage | tested
    method.write(data, metrics)
    return metrics
