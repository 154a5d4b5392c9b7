"""Computes the features of a frozen backbone once and keeps them."""

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

from crack_lightning.data.batches.datamodule import CrackDataModule, with_views
from crack_lightning.data.batches.transforms import VERSION
from crack_lightning.engines.pick import Engine, pick_engine
from crack_lightning.features.module import FeatureModule, Wanted
from crack_lightning.features.store import FeatureStore, PartWriter
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.system.cache import mark

log = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor]


class FeatureExtractor(LightningModule):
    """Pooled features of (uint8 pictures (N, 3, h, w), places (N,)) by the fastest engine that agrees."""

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


class MissingImages(LightningDataModule):
    """The pictures whose features a store lacks, agreed upon by all processes, which share the work.

    The first process holds the store's lock from `prepare_data` until `release`: of runs that need the same features
    one computes and the others wait.
    """

    def __init__(self, features: FeatureModule, *, lock_timeout_s: float) -> None:
        super().__init__()
        self.prepare_data_per_node = False
        self.features = features
        self.lock_timeout_s = lock_timeout_s
        self.lock = FileLock(features.store.folder / "lock")
        self.wanted: list[Wanted] = []

    def prepare_data(self) -> None:
        acquire(self.lock, self.lock_timeout_s)

    def setup(self, stage: str) -> None:
        self.features.store.reload()
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("MissingImages is set up by a Trainer")
        # Listed by one process: rows that are written before another looks would make its list differ.
        missing = self.features.missing() if trainer.is_global_zero else []
        self.wanted = trainer.strategy.broadcast(missing)
        if self.wanted and trainer.is_global_zero:
            self.features.store.check_space(len(self.wanted))
            log.info("computing the features of %d views into %s", len(self.wanted), self.features.store.folder)

    def predict_dataloader(self) -> DataLoader[Any]:
        return self.features.wanted_images(self.wanted, self.trainer)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return with_views(batch)

    def release(self) -> None:
        """Lets other runs use the store."""
        self.lock.release()


class FeatureWriter(BasePredictionWriter):
    """Appends each batch of features to the store as soon as it is computed."""

    def __init__(self, images: MissingImages) -> None:
        super().__init__(write_interval="batch")
        self.images = images
        self._keys = np.empty(0, "<u8")
        self._writer: PartWriter | None = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._keys = np.array([view.key for view in self.images.wanted], dtype="<u8")
        self._writer = PartWriter(self.images.features.store).__enter__()

    def write_on_batch_end(self, trainer: Trainer, pl_module: LightningModule, prediction: Tensor, *rest: Any) -> None:
        _, (_, places), *_ = rest
        if self._writer is not None:
            self._writer.append(self._keys[places.cpu().numpy()], prediction.float().cpu().numpy())

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
    """Returns the store of this backbone with these weights, this transform and this precision."""
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
    mark(folder)
    return FeatureStore(folder, channels=classifier.head.in_features, dtype=dtype, made_by=made_by)


def weights_hash(classifier: CrackClassifier) -> str:
    """Returns the sha256 of the backbone's tensors."""
    digest = hashlib.sha256()
    for name, tensor in classifier.features.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def complete(
    trainer: Trainer, features: FeatureModule, classifier: CrackClassifier, *, engine: str, lock_timeout_s: float
) -> None:
    """Computes what the store lacks. Of runs that need the same features, one computes and the others wait.

    Raises TimeoutError when another run holds the lock for longer than `lock_timeout_s`.
    """
    # One process sees by itself that nothing is missing; several must agree.
    if trainer.world_size == 1 and not features.missing():
        log.info("features: all stored in %s", features.store.folder)
        return
    images = MissingImages(features, lock_timeout_s=lock_timeout_s)
    started_s = time.perf_counter()
    try:
        compute(trainer, images, FeatureExtractor(classifier, engine))
    finally:
        images.release()
    count, seconds = len(images.wanted), time.perf_counter() - started_s
    if count:
        log.info("features of %d views in %.1f s (%.0f images/s)", count, seconds, count / seconds)
    features.store.reload()


def acquire(lock: FileLock, timeout_s: float) -> None:
    """Takes the lock of a store. Raises TimeoutError when another run holds it for longer than `timeout_s`."""
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


def compute(trainer: Trainer, images: MissingImages, extractor: FeatureExtractor) -> None:
    """Computes the features of the pictures in `images` and appends them to its store."""
    writer = FeatureWriter(images)
    loggers, trainer.loggers = trainer.loggers, []  # nothing to log, and no graph to draw
    trainer.callbacks.append(writer)  # type: ignore[attr-defined]
    try:
        trainer.predict(extractor, datamodule=images, return_predictions=False)
        trainer.strategy.barrier("features")  # the others may still be writing theirs
    finally:
        trainer.callbacks.remove(writer)  # type: ignore[attr-defined]
        trainer.loggers = loggers
