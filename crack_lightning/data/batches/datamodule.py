"""The LightningDataModule over class folders, given or drawn."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset, default_collate

from crack_lightning.data.batches.dataset import AugmentedDataset, PlainDataset, ViewSampler
from crack_lightning.data.batches.transforms import augmented, plain_transform
from crack_lightning.data.images.checks import find_unreadable, unreadable_message
from crack_lightning.data.options import DataOptions
from crack_lightning.data.samples.groups import grouped
from crack_lightning.data.samples.labels import table_of, table_splits
from crack_lightning.data.samples.layouts import OWN, TABLE
from crack_lightning.data.samples.listing import Sample, find_samples
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.data.samples.splits import (
    Splits,
    check_every_class,
    fold_samples,
    split_samples,
)
from crack_lightning.data.synthetic.surface_folder import cached_surfaces
from crack_lightning.errors import UserError
from crack_lightning.system.cache import cache_folder
from crack_lightning.system.processes import default_workers, worker_options

log = logging.getLogger(__name__)


class CrackDataModule(LightningDataModule):
    """Class folders as training, validation and test batches of (uint8 (N, 3, h, w), labels (N,)).

    `options.root` holds class folders, which are split by `fractions`, or `train/ val/ test/` with class folders in
    each. With `surfaces` the folder is drawn instead, once, into `cache_dir`. Nothing is read before `prepare_data`.
    """

    def __init__(self, options: DataOptions, *, seed: int, cache_dir: str | None) -> None:
        super().__init__()
        self.options, self.seed, self.cache_dir = options, seed, cache_dir
        self.root = Path(options.root) if options.root is not None else None
        self.class_names = list(options.class_names)
        self.num_workers = default_workers() if options.num_workers is None else options.num_workers
        self.augmentation = {
            "flip_probability": options.flip_probability,
            "rotation_degrees": options.rotation_degrees,
        }
        self.first_epoch = 0  # of a run that goes on, the one that it goes on with
        self.splits: Splits = {}
        self.unreadable: dict[Path, str] = {}

    def prepare_data(self) -> None:
        """Draw the surfaces if they are wanted and not there yet."""
        if self.options.surfaces is not None and self.root is None:
            # The cracked class is drawn last, whichever place it has among the names.
            names = sorted(self.class_names, key=lambda name: name == self.options.positive_class)
            self.root = cached_surfaces(cache_folder(self.cache_dir), class_names=names, **vars(self.options.surfaces))

    def setup(self, stage: str | None = None) -> None:
        """Find, check and split the photographs; the second call does nothing.

        Raises ValueError or FileNotFoundError that names the folder, class or files at fault. What could not
        be read is in `unreadable` then, and also when it was skipped.
        """
        if self.splits:
            return
        if self.root is None:
            self.prepare_data()
        self.splits = self._found()
        for split, samples in self.splits.items():
            counts = [sum(sample.label == label for sample in samples) for label in range(len(self.class_names))]
            named = ", ".join(f"{count} {name}" for name, count in zip(self.class_names, counts, strict=True))
            log.info("%s: %d images (%s)", split, len(samples), named)

    def _found(self) -> Splits:
        root = self.root
        if root is None:
            raise UserError("data.root is not set")
        if self.options.layout != TABLE and (folders := split_folders(root)):
            if self.options.group_by != "file" or self.options.folds is not None or self.options.layout != OWN:
                raise UserError(
                    f"{root} is split into train/ val/ test/ already: leave data.group_by and data.folds out, and use "
                    "data=folder"
                )
            return {
                split: self._checked(find_samples(folders[split], self.class_names, prefix=f"{split}/"))
                for split in SPLITS
            }
        found = find_samples(
            root,
            self.class_names,
            layout=self.options.layout,
            positive_class=self.options.positive_class,
            labels=self.options.labels,
        )
        samples = self._checked(found)
        if self.options.layout == TABLE and (splits := table_splits(root, self.options.labels)):
            return self._split_by_table(samples, splits)
        cache, workers = cache_folder(self.cache_dir), self.num_workers
        samples = grouped(samples, self.options.group_by, layout=self.options.layout, cache=cache, workers=workers)
        if self.options.folds is not None:
            return fold_samples(
                samples, folds=self.options.folds, fold=self.options.fold, seed=self.seed, class_names=self.class_names
            )
        return split_samples(samples, self.options.fractions, seed=self.seed, class_names=self.class_names)

    def _split_by_table(self, samples: Sequence[Sample], splits: Mapping[Path, str]) -> Splits:
        if self.options.group_by != "file" or self.options.folds is not None:
            raise UserError(
                f"{table_of(self.root or Path(), self.options.labels)} says which split each picture belongs to: leave "
                "data.group_by and data.folds out, or the column split"
            )
        found = {split: [each for each in samples if splits[each.path] == split] for split in SPLITS}
        check_every_class(found, self.class_names)
        return found

    def _checked(self, samples: list[Sample]) -> list[Sample]:
        skip = self.options.on_error == "skip"
        paths = [sample.path for sample in samples]
        unreadable = find_unreadable(paths, decode=skip, megapixels=self.options.max_megapixels)
        self.unreadable.update(unreadable)
        if unreadable and not skip:
            raise UserError(unreadable_message(unreadable))
        readable = [sample for sample in samples if sample.path not in unreadable]
        for label, name in enumerate(self.class_names):
            if not any(sample.label == label for sample in readable):
                folder = samples[0].path.parent.parent
                raise UserError(f"class {name} has no readable image in {folder}")
        return readable

    def augmented_dataset(self) -> AugmentedDataset:
        """The training pictures, view by view."""
        return AugmentedDataset(self.plain_dataset("train"), self.augmentation, seed=self.seed)

    def plain_dataset(self, split: str) -> PlainDataset:
        """The pictures of a split as they are."""
        transform = plain_transform(self.options.image_size)
        return PlainDataset(self.splits[split], transform, megapixels=self.options.max_megapixels)

    def view_sampler(self, dataset: AugmentedDataset, trainer: Trainer | None) -> ViewSampler:
        """The order of training, shared out over the trainer's processes."""
        replicas, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        sampler = ViewSampler(dataset, num_replicas=replicas, rank=rank, seed=self.seed)
        # Lightning says which epoch it is after loading processes have begun: a resumed run would repeat the first.
        sampler.set_epoch(self.first_epoch)
        return sampler

    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented views, shuffled anew in every epoch."""
        dataset = self.augmented_dataset()
        return self._loader(dataset, sampler=self.view_sampler(dataset, self.trainer))

    def val_dataloader(self) -> DataLoader[Any]:
        """Plain views in the order of `splits["val"]`."""
        return self._loader(self.plain_dataset("val"))

    def test_dataloader(self) -> DataLoader[Any]:
        """Plain views in the order of `splits["test"]`."""
        return self._loader(self.plain_dataset("test"))

    def _loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size=self.options.batch_size,
            **worker_options(self.num_workers),
            persistent_workers=self.num_workers > 0,
            **for_device(self.trainer),
            **options,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Training pictures become what their views say on the GPU that they are on by then, if they are not yet."""
        return with_views(batch)


def pins(trainer: Trainer | None) -> bool:
    """Whether batches are copied to a GPU, which they are faster from pinned memory."""
    return trainer is not None and trainer.strategy.root_device.type == "cuda"


def for_device(trainer: Trainer | None) -> dict[str, Any]:
    """The options of a DataLoader of views: a GPU turns pictures itself, for a CPU its loading processes do so."""
    return {"pin_memory": True} if pins(trainer) else {"collate_fn": collate_views}


def collate_views(items: list[Any]) -> Any:
    """Samples as a batch, their views applied if they have any."""
    return with_views(default_collate(items))


def with_views(batch: Any) -> Any:
    """A batch of (pictures, views, labels) as (augmented pictures, labels); any other unchanged."""
    if len(batch) != 3:
        return batch
    images, views, labels = batch
    return augmented(images, views), labels
