"""Loads the stored features of a data set as training, validation and test batches."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler, SequentialSampler

from crack_lightning.data.batches.datamodule import CrackDataModule, for_device
from crack_lightning.data.batches.dataset import AugmentedDataset, PlainDataset, ViewSampler
from crack_lightning.data.batches.transforms import PLAIN_VIEW
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.presplit import SPLITS
from crack_lightning.errors import UserError
from crack_lightning.features.store import FeatureStore, RowLocations, keys_of
from crack_lightning.system.files import content_hash
from crack_lightning.system.processes import worker_options

log = logging.getLogger(__name__)


def file_identity(path: Path, identity: str) -> str:
    """Returns a text that identifies a file: a hash of its bytes ("content"), or path, size and time of change."""
    if identity == "content":
        return content_hash(path)
    status = path.stat()
    return f"{path.absolute()}:{status.st_size}:{status.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class MissingView:
    """A view of a picture whose features the store lacks.

    `index` is the picture's index in its split, `view` the number of the view, None for the plain one without
    augmentation, and `key` the key of its row in the store.
    """

    split: str
    index: int
    view: int | None
    key: int


class MissingPictures(Dataset[tuple[Tensor, Tensor, int]]):
    """The pictures of missing views: (plain picture, view (2,), index in `missing`)."""

    def __init__(
        self, missing: Sequence[MissingView], augmented: AugmentedDataset, plain: dict[str, PlainDataset]
    ) -> None:
        self.missing = missing
        self.augmented = augmented
        self.plain = plain

    def __len__(self) -> int:
        return len(self.missing)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        missing = self.missing[index]
        view = PLAIN_VIEW if missing.view is None else self.augmented.view(missing.index, missing.view)
        return self.plain[missing.split][missing.index][0], view, index


class FeatureDataset(Dataset[tuple[Tensor, Tensor]]):
    """Stored features: `dataset[[(index, view), ...]]` is a batch (features (N, channels) float32, labels (N,))."""

    def __init__(self, store: FeatureStore, keys: np.ndarray, labels: Sequence[int], pictures: Dataset[Any]) -> None:
        locations, missing = store.find(keys.ravel())
        if missing.any():
            raise UserError(f"{missing.sum()} features in {store.folder} were removed during the run")
        self.store = store
        self.shape = keys.shape  # (samples, views)
        self.locations = locations
        self.labels = torch.tensor(labels)
        self.pictures = pictures

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, batch: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        indices = np.array([index for index, _ in batch])
        views = np.array([view for _, view in batch]) % self.shape[1]
        flat = indices * self.shape[1] + views
        rows = self.store.rows(RowLocations(self.locations.part[flat], self.locations.row[flat]))
        return torch.from_numpy(rows.astype(np.float32, copy=False)), self.labels[indices]


class BatchViews(BatchSampler):
    """Groups the samples of a `ViewSampler` into batches and tells it the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Passes the epoch to the sampler; Lightning calls it at the start of every epoch."""
        if isinstance(self.sampler, ViewSampler):
            self.sampler.set_epoch(epoch)


class PlainViews(Sampler[tuple[int, int]]):
    """Yields (index, 0) for every sample, in order: the plain view is the only one."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((index, 0) for index in SequentialSampler(range(self.count)))


class FeatureModule(LightningDataModule):
    """Batches of features (N, channels) and labels (N,), loaded from `store` in the order of the pictures of `data`.

    Each training image has `views` stored views, which successive epochs use in turn; validation and test images have
    one plain view. `missing` lists the views that the store lacks.
    """

    def __init__(self, data: CrackDataModule, store: FeatureStore, *, views: int, identity: str) -> None:
        super().__init__()
        self.data = data
        self.store = store
        self.views = views
        self.augmented = data.augmented_dataset()
        self.plain = {split: data.plain_dataset(split) for split in SPLITS}
        self.keys = {split: self._keys(split, identity) for split in SPLITS}

    def _keys(self, split: str, identity: str) -> np.ndarray:
        """Returns the keys (samples, views) uint64 of a split."""
        views = self._views(split)
        files = ((file_identity(sample.path, identity), sample) for sample in self.data.splits[split])
        return keys_of(self._name(file, sample, view) for file, sample in files for view in views).reshape(
            -1, len(views)
        )

    def _views(self, split: str) -> Sequence[int | None]:
        return range(self.views) if split == "train" else [None]

    def _name(self, file: str, sample: Sample, view: int | None) -> str:
        if view is None:
            return f"{file}|plain"
        return f"{file}|{self.augmented.key(sample)}|{self.data.seed}|{view}"

    def missing(self) -> list[MissingView]:
        """Returns the views whose features the store lacks, each once."""
        missing_views: dict[int, MissingView] = {}
        for split, keys in self.keys.items():
            views = self._views(split)
            _, missing = self.store.find(keys.ravel())
            for flat in np.flatnonzero(missing).tolist():
                index, view = divmod(flat, len(views))
                key = int(keys[index, view])
                missing_views.setdefault(key, MissingView(split, index, views[view], key))
        return list(missing_views.values())

    def missing_pictures(self, missing: Sequence[MissingView], trainer: Trainer | None) -> DataLoader[Any]:
        """Returns batches of (plain uint8 pictures (N, 3, h, w), views (N, 2), indices (N,) in `missing`)."""
        return DataLoader(
            MissingPictures(missing, self.augmented, self.plain),
            batch_size=self.data.options.batch_size,
            **worker_options(self.data.num_workers),
            **for_device(trainer),
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns batches of stored views, shuffled in every epoch as the pictures would be."""
        return self._loader("train", self.data.view_sampler(self.augmented, self.trainer), self.augmented)

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns batches of plain views in the order of `splits["val"]`."""
        return self._loader("val", PlainViews(len(self.plain["val"])), self.plain["val"])

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns batches of plain views in the order of `splits["test"]`."""
        return self._loader("test", PlainViews(len(self.plain["test"])), self.plain["test"])

    def _loader(self, split: str, order: Sampler[Any], pictures: Dataset[Any]) -> DataLoader[Any]:
        labels = [sample.label for sample in self.data.splits[split]]
        dataset = FeatureDataset(self.store, self.keys[split], labels, pictures)
        # Batches are read in this process, because sending rows from another one takes longer than reading them.
        batches = BatchViews(order, self.data.options.batch_size, drop_last=False)
        return DataLoader(dataset, sampler=batches, batch_size=None, num_workers=0)
