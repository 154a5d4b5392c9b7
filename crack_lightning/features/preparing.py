"""Prepares what a run trains on: pictures, or their features, computed by this run or in parts by several."""

import logging
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from lightning.pytorch import LightningDataModule, Trainer

from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.errors import UserError
from crack_lightning.features.build import FeatureExtractor, MissingImages, acquire, complete, compute, open_store
from crack_lightning.features.module import FeatureModule, Wanted
from crack_lightning.features.options import FeatureOptions
from crack_lightning.features.shards import all_locks, check_parts, merge, of_shard, shard_lock
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.cache import evict, touch

log = logging.getLogger(__name__)


class ShardImages(MissingImages):
    """The missing pictures of one part, whose features its process alone computes."""

    def __init__(self, features: FeatureModule, wanted: Sequence[Wanted]) -> None:
        super().__init__(features, lock_timeout_s=0)
        self.wanted = list(wanted)

    def prepare_data(self) -> None:
        """Waits for nothing: the part is locked already."""

    def setup(self, stage: str) -> None:
        """Does nothing: the views are known."""


def _check_alone(trainer: Trainer) -> None:
    if trainer.world_size > 1:
        raise UserError("features.shards: each part is computed by one process; give trainer.devices=1")


def _compute_shard(
    trainer: Trainer, features: FeatureModule, classifier: CrackClassifier, shard: int, options: FeatureOptions
) -> None:
    """Computes what the store lacks of one part."""
    shards = options.shards or 1
    with shard_lock(features.store.folder, shard, shards):
        features.store.reload()
        wanted = of_shard(features.missing(), shard, shards)
        log.info("part %d of %d: %d views to compute, in %s", shard, shards, len(wanted), features.store.folder)
        if not wanted:
            log.info("part %d of %d was done before", shard, shards)
            return
        features.store.check_space(len(wanted))
        images = ShardImages(features, wanted)
        compute(trainer, images, FeatureExtractor(classifier, options.engine))
        log.info("part %d of %d is done; when all are, train with features.shards=%d alone", shard, shards, shards)


def _merge_shards(features: FeatureModule, shards: int, lock_timeout_s: float) -> None:
    """Merges the parts. Raises UserError that names those that lack views or are being computed."""
    lock = FileLock(features.store.folder / "lock")
    acquire(lock, lock_timeout_s)
    try:
        with all_locks(features.store.folder):
            features.store.reload()
            check_parts(features.store, shards, features.missing())
            merge(features.store)
    finally:
        lock.release()
    features.store.reload()


def prepared(
    trainer: Trainer,
    classifier: CrackClassifier,
    data: CrackDataModule,
    options: FeatureOptions,
    *,
    cache: Path,
    precision: str,
) -> LightningDataModule | None:
    """Returns what to train on: the pictures or, where the backbone is frozen, their features, computed now if missing.

    Returns None where only one part of the features was to be computed.
    """
    cached = options.mode != "live" and classifier.frozen and not getattr(trainer, "fast_dev_run", False)
    if options.shards is not None and not cached:
        raise UserError(
            "features.shards keeps features in parts: give model.freeze=true, no features=live and no fast_dev_run"
        )
    if not cached:
        return data
    store = open_store(cache, classifier, data, dtype=options.dtype, precision=precision)
    views, epochs = options.views, trainer.max_epochs or -1
    if views > epochs > 0:
        log.info("features.views=%d, but trainer.max_epochs=%d: the others would never be seen", views, epochs)
        views = epochs
    features = FeatureModule(data, store, views=views, identity=options.identity)
    if options.shards is not None:
        _check_alone(trainer)
        if options.shard is not None:
            _compute_shard(trainer, features, classifier, options.shard, options)
            return None
        _merge_shards(features, options.shards, options.lock_timeout_s)
    complete(trainer, features, classifier, engine=options.engine, lock_timeout_s=options.lock_timeout_s)
    if trainer.is_global_zero:
        touch(store.folder)
        evict(cache, "features", max_bytes=options.max_cache_gb * 1e9, keep=store.folder)
    return features
