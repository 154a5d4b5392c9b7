"""Computes the features of a frozen backbone once and stores them.

A view is a picture as training sees it, augmented or plain; each view has its own features.
"""

import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor
from torch.utils.data import DataLoader

from crack_lightning.data.batches.datamodule import CrackDataModule, augment_batch
from crack_lightning.data.batches.transforms import VERSION
from crack_lightning.engines.pick import Engine, pick_engine
from crack_lightning.features.module import FeatureModule, MissingView
from crack_lightning.features.store import FeatureStore, PartWriter
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.cache import mark_folder

log = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor]


class FeatureExtractor(LightningModule):
    """Batches (uint8 pictures (N, 3, h, w), indices (N,)) to pooled features (N, channels), computed by an engine."""

    def __init__(self, classifier: CrackClassifier, engine: str) -> None:
        super().__init__()
        self.classifier = classifier
        self.engine_name = engine
        self._engine: Engine | None = None

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, _ = batch
        if self._engine is None:
            self._engine = pick_engine(self.classifier.eval(), self.engine_name, images)
        return self._engine(images)


class MissingViews(LightningDataModule):
    """The views whose features a store lacks, distributed over all processes of a run.

    The first process holds the store's lock from `prepare_data` until `release`: if several runs need the same
    features, one computes them and the others wait.
    """

    def __init__(self, features: FeatureModule, *, lock_timeout_s: float) -> None:
        super().__init__()
        self.prepare_data_per_node = False
        self.features = features
        self.lock_timeout_s = lock_timeout_s
        self.lock = FileLock(features.store.folder / "lock")
        self.views: list[MissingView] = []

    def prepare_data(self) -> None:
        acquire_lock(self.lock, self.lock_timeout_s)

    def setup(self, stage: str) -> None:
        self.features.store.reload()
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("MissingViews must be set up by a Trainer")
        # One process lists them: another might look later, when rows have been added, and get a different list.
        missing = self.features.missing() if trainer.is_global_zero else []
        self.views = trainer.strategy.broadcast(missing)
        if self.views and trainer.is_global_zero:
            self.features.store.check_space(len(self.views))
            log.info("computing the features of %d views into %s", len(self.views), self.features.store.folder)

    def predict_dataloader(self) -> DataLoader[Any]:
        return self.features.missing_pictures(self.views, self.trainer)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return augment_batch(batch)

    def release(self) -> None:
        """Releases the lock of the store."""
        self.lock.release()


class FeatureWriter(BasePredictionWriter):
    """Appends each batch of features to the store as soon as it is computed."""

    def __init__(self, missing: MissingViews) -> None:
        super().__init__(write_interval="batch")
        self.missing = missing
        self._keys = np.empty(0, "<u8")
        self._writer: PartWriter | None = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._keys = np.array([view.key for view in self.missing.views], dtype="<u8")
        self._writer = PartWriter(self.missing.features.store).__enter__()

    def write_on_batch_end(self, trainer: Trainer, pl_module: LightningModule, prediction: Tensor, *rest: Any) -> None:
        _, (_, indices), *_ = rest
        if self._writer is not None:
            self._writer.append(self._keys[indices.cpu().numpy()], prediction.float().cpu().numpy())

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
            self._writer = None


def open_store(
    cache: Path, classifier: CrackClassifier, data: CrackDataModule, *, dtype: str, precision: str
) -> FeatureStore:
    """Returns the store for this combination of backbone, weights, transform, dtype and precision."""
    made_by = {
        "backbone": classifier.backbone,
        "weights": weights_hash(classifier),
        "image_size": data.options.image_size,
        "transform": VERSION,
        **data.augmentation,
        "precision": precision,
    }
    key = hashlib.sha256(repr(sorted({**made_by, "dtype": dtype}.items())).encode()).hexdigest()[:12]
    folder = cache / "features" / f"{classifier.backbone}-{data.options.image_size}px-{key}"
    mark_folder(folder)
    return FeatureStore(folder, channels=classifier.head.in_features, dtype=dtype, made_by=made_by)


def weights_hash(classifier: CrackClassifier) -> str:
    """Returns the sha256 of the backbone's tensors."""
    digest = hashlib.sha256()
    for name, tensor in classifier.features.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def compute_missing(
    trainer: Trainer, features: FeatureModule, classifier: CrackClassifier, *, engine: str, lock_timeout_s: float
) -> None:
    """Computes the features that the store lacks; if another run computes the same ones, waits for it.

    Raises TimeoutError when another run holds the lock for longer than `lock_timeout_s`.
    """
    # A single process may decide alone that nothing is missing; several processes must agree first.
    if trainer.world_size == 1 and not features.missing():
        log.info("all features are stored in %s", features.store.folder)
        return
    missing = MissingViews(features, lock_timeout_s=lock_timeout_s)
    started_s = time.perf_counter()
    try:
        compute_features(trainer, missing, FeatureExtractor(classifier, engine))
    finally:
        missing.release()
    count, seconds = len(missing.views), time.perf_counter() - started_s
    if count:
        log.info("features of %d views in %.1f s (%.0f images/s)", count, seconds, count / seconds)
    features.store.reload()


def acquire_lock(lock: FileLock, timeout_s: float) -> None:
    """Acquires the lock of a store. Raises TimeoutError when another run holds it for longer than `timeout_s`."""
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        log.info("another run computes these features: waiting up to %.0f s for %s", timeout_s, lock.lock_file)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout as error:
        raise TimeoutError(
            f"another run has held {lock.lock_file} for {timeout_s:.0f} s: wait for it, or give "
            "features.lock_timeout_s=SECONDS, another cache_dir=FOLDER or features=live"
        ) from error


def compute_features(trainer: Trainer, missing: MissingViews, extractor: FeatureExtractor) -> None:
    """Computes the features of the missing views and appends them to their store."""
    writer = FeatureWriter(missing)
    loggers, trainer.loggers = trainer.loggers, []  # predicting would log nothing but a graph of the network
    trainer.callbacks.append(writer)  # type: ignore[attr-defined]
    try:
        trainer.predict(extractor, datamodule=missing, return_predictions=False)
        trainer.strategy.barrier("features")  # other processes may still be writing
    finally:
        trainer.callbacks.remove(writer)  # type: ignore[attr-defined]
        trainer.loggers = loggers
