"""Prepares the data of a training run: pictures, or stored features, which one run computes, or several in parts."""

import logging
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from lightning.pytorch import LightningDataModule, Trainer

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.errors import UserError
from crack_lightning.features.build import (
    FeatureExtractor,
    MissingViews,
    acquire_lock,
    compute_features,
    compute_missing,
    open_store,
)
from crack_lightning.features.module import FeatureModule, MissingView
from crack_lightning.features.options import FeatureOptions
from crack_lightning.features.shards import all_locks, check_parts, merge, shard_lock, views_of_shard
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.cache import evict, touch

log = logging.getLogger(__name__)


class ShardViews(MissingViews):
    """The missing views of one part, computed by a single process."""

    def __init__(self, features: FeatureModule, missing: Sequence[MissingView]) -> None:
        super().__init__(features, lock_timeout_s=0)
        self.views = list(missing)

    def prepare_data(self) -> None:
        """Acquires no lock, because the part is locked already."""

    def setup(self, stage: str) -> None:
        """Does nothing, because the views are known already."""


def _check_one_process(trainer: Trainer) -> None:
    if trainer.world_size > 1:
        raise UserError("features.shards: one process computes each part; give trainer.devices=1")


def _compute_shard(
    trainer: Trainer, features: FeatureModule, classifier: CrackClassifier, shard: int, options: FeatureOptions
) -> None:
    """Computes the features of one part that the store lacks."""
    shards = options.shards or 1
    with shard_lock(features.store.folder, shard, shards):
        features.store.reload()
        missing = views_of_shard(features.missing(), shard, shards)
        log.info("part %d of %d: %d views to compute, in %s", shard, shards, len(missing), features.store.folder)
        if not missing:
            log.info("part %d of %d is already complete", shard, shards)
            return
        features.store.check_space(len(missing))
        views = ShardViews(features, missing)
        compute_features(trainer, views, FeatureExtractor(classifier, options.engine))
        text = "part %d of %d is complete; when all are, train with features.shards=%d and without features.shard"
        log.info(text, shard, shards, shards)


def _merge_shards(features: FeatureModule, shards: int, lock_timeout_s: float) -> None:
    """Merges the parts. Raises UserError that names the parts that lack views or are being computed."""
    lock = FileLock(features.store.folder / "lock")
    acquire_lock(lock, lock_timeout_s)
    try:
        with all_locks(features.store.folder):
            features.store.reload()
            check_parts(features.store, shards, features.missing())
            merge(features.store)
    finally:
        lock.release()
    features.store.reload()


def training_data(
    trainer: Trainer,
    classifier: CrackClassifier,
    data: CrackDataModule,
    options: FeatureOptions,
    *,
    cache: Path,
    precision: str,
) -> LightningDataModule | None:
    """Returns the data to train on: pictures or, for a frozen backbone, their features.

    Computes the features that the store lacks.
    Returns None after computing one part only (`features.shard`).
    """
    uses_store = options.mode != "live" and classifier.frozen and not getattr(trainer, "fast_dev_run", False)
    if options.shards is not None and not uses_store:
        raise UserError(
            "features.shards needs stored features: give model.freeze=true, and neither features=live nor fast_dev_run"
        )
    if not uses_store:
        return data
    store = open_store(cache, classifier, data, dtype=options.dtype, precision=precision)
    views, epochs = options.views, trainer.max_epochs or -1
    if views > epochs > 0:
        log.info("features.views=%d is reduced to trainer.max_epochs=%d: more views are never used", views, epochs)
        views = epochs
    features = FeatureModule(data, store, views=views, identity=options.identity)
    if options.shards is not None:
        _check_one_process(trainer)
        if options.shard is not None:
            _compute_shard(trainer, features, classifier, options.shard, options)
            return None
        _merge_shards(features, options.shards, options.lock_timeout_s)
    compute_missing(trainer, features, classifier, engine=options.engine, lock_timeout_s=options.lock_timeout_s)
    if trainer.is_global_zero:
        touch(store.folder)
        evict(cache, "features", max_bytes=options.max_cache_gb * 1e9, keep=store.folder)
    return features
