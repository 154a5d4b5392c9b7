"""Features of a frozen backbone, computed once and kept."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from crack_lightning.data.cache import evict, touch
from crack_lightning.data.datamodule import CrackDataModule
from crack_lightning.data.feature_module import FeatureModule, Wanted, check_feature_options
from crack_lightning.data.feature_store import FeatureStore, PartWriter
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.engines import Engine, check_engine, pick_engine

log = logging.getLogger(__name__)

MODES = ("auto", "cached", "live")

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


class FeatureWriter(BasePredictionWriter):
    """Appends each batch of features to the store as soon as it is there."""

    def __init__(self, store: FeatureStore, wanted: Sequence[Wanted]) -> None:
        super().__init__(write_interval="batch")
        self.store = store
        self.keys = np.array([each.key for each in wanted], dtype="<u8")
        self._writer: PartWriter | None = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._writer = PartWriter(self.store).__enter__()

    def write_on_batch_end(self, trainer: Trainer, pl_module: LightningModule, prediction: Tensor, *rest: Any) -> None:
        _, (_, places), *_ = rest
        if self._writer is not None:
            self._writer.append(self.keys[places.cpu().numpy()], prediction.float().cpu().numpy())

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
    """The store of this backbone with these weights, this transform and this precision."""
    made_by = {
        "backbone": classifier.backbone,
        "weights": weights_hash(classifier),
        "image_size": data.image_size,
        "flip_probability": data.flip_probability,
        "rotation_degrees": data.rotation_degrees,
        "precision": precision,
    }
    key = hashlib.sha256(repr(sorted({**made_by, "dtype": dtype}.items())).encode()).hexdigest()[:12]
    folder = cache / "features" / f"{classifier.backbone}-{data.image_size}px-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return FeatureStore(folder, channels=classifier.head.in_features, dtype=dtype, made_by=made_by)


def weights_hash(classifier: CrackClassifier) -> str:
    """sha256 of the backbone's tensors."""
    digest = hashlib.sha256()
    for name, tensor in classifier.features.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def complete(
    trainer: Trainer, features: FeatureModule, classifier: CrackClassifier, *, engine: str, lock_timeout_s: float
) -> None:
    """Compute what the store lacks. Of runs that need the same features, one computes and the others wait.

    Raises TimeoutError when another run holds the lock for longer than `lock_timeout_s`.
    """
    lock = FileLock(features.store.folder / "lock")
    if trainer.is_global_zero:
        _acquire(lock, lock_timeout_s)
    try:
        features.store.reload()
        wanted = features.missing()
        if not wanted:
            log.info("features: all stored in %s", features.store.folder)
            return
        features.store.check_space(len(wanted))
        _compute(trainer, features, classifier, wanted, engine)
    finally:
        lock.release()
    features.store.reload()


def _acquire(lock: FileLock, timeout_s: float) -> None:
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


def _compute(
    trainer: Trainer, features: FeatureModule, classifier: CrackClassifier, wanted: Sequence[Wanted], engine: str
) -> None:
    log.info("computing the features of %d views into %s", len(wanted), features.store.folder)
    writer = FeatureWriter(features.store, wanted)
    started_s = time.perf_counter()
    loggers, trainer.loggers = trainer.loggers, []  # nothing to log, and no graph to draw
    trainer.callbacks.append(writer)  # type: ignore[attr-defined]
    try:
        trainer.predict(FeatureExtractor(classifier, engine), features.wanted_images(wanted), return_predictions=False)
    finally:
        trainer.callbacks.remove(writer)  # type: ignore[attr-defined]
        trainer.loggers = loggers
    seconds = time.perf_counter() - started_s
    log.info("features of %d views in %.1f s (%.0f images/s)", len(wanted), seconds, len(wanted) / seconds)


def check_features(options: Mapping[str, Any], *, frozen: bool) -> None:
    """Raise ValueError for an option that is out of range, or `cached` with a backbone that learns."""
    if options["mode"] not in MODES:
        raise ValueError(f"features.mode={options['mode']}: one of {', '.join(MODES)}")
    if options["mode"] == "cached" and not frozen:
        raise ValueError(
            "features=cached keeps what a frozen backbone computes, but model.freeze=false: "
            "its features change with every step. Give model.freeze=true or features=live"
        )
    check_engine(options["engine"])
    check_feature_options(views=options["views"], identity=options["identity"], dtype=options["dtype"])
    for key in ("lock_timeout_s", "max_cache_gb"):
        if options[key] < 0:
            raise ValueError(f"features.{key}={options[key]}: 0 or more")


def prepared(
    trainer: Trainer,
    classifier: CrackClassifier,
    data: CrackDataModule,
    options: Mapping[str, Any],
    *,
    cache: Path,
    precision: str,
) -> LightningDataModule:
    """What to train on: the pictures, or where the backbone is frozen their features, computed now if need be.

    `options` as `check_features` takes them.
    """
    if options["mode"] == "live" or not classifier.frozen or getattr(trainer, "fast_dev_run", False):
        return data
    store = open_store(cache, classifier, data, dtype=options["dtype"], precision=precision)
    features = FeatureModule(data, store, views=options["views"], identity=options["identity"])
    complete(trainer, features, classifier, engine=options["engine"], lock_timeout_s=options["lock_timeout_s"])
    if trainer.is_global_zero:
        touch(store.folder)
        evict(cache, "features", max_bytes=options["max_cache_gb"] * 1e9, keep=store.folder)
    return features
