"""A data set's stored features as training, validation and test batches."""

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
from crack_lightning.features.store import FeatureStore, keys_of
from crack_lightning.system.files import content_hash
from crack_lightning.system.processes import worker_options

log = logging.getLogger(__name__)


def file_identity(path: Path, identity: str) -> str:
    """Returns a text that distinguishes files: a hash of the bytes ("content"), or path, size and time of change."""
    if identity == "content":
        return content_hash(path)
    status = path.stat()
    return f"{path.absolute()}:{status.st_size}:{status.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A view whose features are missing: the dataset index, the view (`None`: the plain one) and the key of its row."""

    split: str
    index: int
    view: int | None
    key: int


class WantedImages(Dataset[tuple[Tensor, Tensor, int]]):
    """Pictures of the views whose features are missing: (plain picture, view (2,), place in `wanted`)."""

    def __init__(self, wanted: Sequence[Wanted], augmented: AugmentedDataset, plain: dict[str, PlainDataset]) -> None:
        self.wanted = wanted
        self.augmented = augmented
        self.plain = plain

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor, int]:
        wanted = self.wanted[place]
        view = PLAIN_VIEW if wanted.view is None else self.augmented.view(wanted.index, wanted.view)
        return self.plain[wanted.split][wanted.index][0], view, place


class FeatureDataset(Dataset[tuple[Tensor, Tensor]]):
    """Stored features: `dataset[[(index, view), ...]]` is a batch (features (N, channels) float32, labels (N,))."""

    def __init__(self, store: FeatureStore, keys: np.ndarray, labels: Sequence[int], pictures: Dataset[Any]) -> None:
        place, missing = store.find(keys.ravel())
        if missing.any():
            raise UserError(f"{missing.sum()} features are missing in {store.folder}: they were removed during the run")
        self.store = store
        self.shape = keys.shape  # (samples, views)
        self.place = place
        self.labels = torch.tensor(labels)
        self.pictures = pictures

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, batch: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        indices = np.array([index for index, _ in batch])
        views = np.array([view for _, view in batch]) % self.shape[1]
        at = indices * self.shape[1] + views
        rows = self.store.rows(type(self.place)(self.place.part[at], self.place.row[at]))
        return torch.from_numpy(rows.astype(np.float32, copy=False)), self.labels[indices]


class BatchViews(BatchSampler):
    """Batches of a `ViewSampler` that pass the epoch on to it."""

    def set_epoch(self, epoch: int) -> None:
        """Passes the epoch on; Lightning calls it at the start of every epoch."""
        if isinstance(self.sampler, ViewSampler):
            self.sampler.set_epoch(epoch)


class PlainViews(Sampler[tuple[int, int]]):
    """Every sample once, in order, in its only view."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((index, 0) for index in SequentialSampler(range(self.count)))


class FeatureModule(LightningDataModule):
    """Batches of features (N, channels) and labels (N,) in the order in which `data` gives pictures.

    Training has `views` stored views of each image, which the epochs go through in turn; the others have one
    plain view. Everything is loaded from `store`; `missing` lists what it lacks.
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
        """Returns the keys (samples, views) uint64."""
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

    def missing(self) -> list[Wanted]:
        """Returns the views whose features the store lacks, each once."""
        wanted: dict[int, Wanted] = {}
        for split, keys in self.keys.items():
            views = self._views(split)
            _, missing = self.store.find(keys.ravel())
            for place in np.flatnonzero(missing).tolist():
                index, view = divmod(place, len(views))
                key = int(keys[index, view])
                wanted.setdefault(key, Wanted(split, index, views[view], key))
        return list(wanted.values())

    def wanted_images(self, wanted: Sequence[Wanted], trainer: Trainer | None) -> DataLoader[Any]:
        """Returns batches of (plain uint8 pictures (N, 3, h, w), views (N, 2), places (N,) in `wanted`)."""
        return DataLoader(
            WantedImages(wanted, self.augmented, self.plain),
            batch_size=self.data.options.batch_size,
            **worker_options(self.data.num_workers),
            **for_device(trainer),
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns batches of stored views, shuffled anew in every epoch as the pictures would be."""
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
        # A batch at a time, in this process: reading rows costs less than sending them from another process.
        batches = BatchViews(order, self.data.options.batch_size, drop_last=False)
        return DataLoader(dataset, sampler=batches, batch_size=None, num_workers=0)
