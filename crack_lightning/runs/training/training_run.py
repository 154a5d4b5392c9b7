"""Trains a network: the order of the steps, which is the same for all methods."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import Logger

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.runs.training.classifier_training import ClassifierTraining
from crack_lightning.runs.training.going_on import Checkpoint
from crack_lightning.runs.training.map_training import PatchTraining
from crack_lightning.runs.training.mask_training import MaskTraining
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.preparation import prepare_split, provenance_of, write_config


class Method(Protocol):
    """A method of training: how the head is found, its confidence decided, the best tested, and the results written."""

    def start(self) -> None:
        """Checks all that can be wrong before any data is read, and finds the weights of the backbone."""

    def fit(self, data: CrackDataModule, provenance: Mapping[str, object]) -> dict[str, float] | None:
        """Finds the head and writes the checkpoint; returns metrics, None where there is nothing to test here."""

    def test(self, data: CrackDataModule) -> dict[str, float] | None:
        """Decides the confidence on validation and tests the best; returns metrics, None in all processes but one."""

    def write(self, data: CrackDataModule, metrics: dict[str, float]) -> None:
        """Writes metrics, tables, card and figures into the run folder, and to the loggers."""


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

    `checkpoint` is the content of `options.ckpt_path` when a run goes on. `overrides` are kept as a record of what was
    asked for. `callbacks`, `checkpoint` and `most_processes` are for a classifier alone: a crack map's head has
    one best value, which is computed. Raises UserError or OSError for what cannot be trained, before anything slow
    begins, and for more processes than `most_processes`.
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
