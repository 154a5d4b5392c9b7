"""The LightningDataModule that loads a data set, of any layout or drawn, as batches."""

import itertools
import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset, default_collate

from crack_lightning.data.batches.dataset import AugmentedDataset, PlainDataset, ViewSampler
from crack_lightning.data.batches.transforms import augment, plain_transform
from crack_lightning.data.images.checks import unreadable_message
from crack_lightning.data.options import DataOptions
from crack_lightning.data.samples.finding import UNSPLIT, find_dataset, keep_readable
from crack_lightning.data.samples.groups import assign_groups
from crack_lightning.data.samples.labels import labels_table, table_splits
from crack_lightning.data.samples.layouts import CLASS_FOLDERS, MASKED, TABLE
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.masks import with_crack_labels
from crack_lightning.data.samples.presplit import split_folders
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

PHOTOGRAPH = "photograph"  # name of the only class of a data set with masks


class CrackDataModule(LightningDataModule):
    """Loads a data set as training, validation and test batches of (pictures (N, 3, h, w) uint8, labels (N,)).

    `options` say where the data set is and how it is split. With `options.surfaces`, its pictures are drawn instead,
    once, into `cache_dir`. Nothing is read before `prepare_data`.
    """

    def __init__(self, options: DataOptions, *, seed: int, cache_dir: str | None) -> None:
        super().__init__()
        self.options, self.seed, self.cache_dir = options, seed, cache_dir
        self.root = Path(options.root) if options.root is not None else None
        self.class_names = [PHOTOGRAPH] if options.layout == MASKED else list(options.class_names)
        self.num_workers = default_workers() if options.num_workers is None else options.num_workers
        self.augmentation = {
            "flip_probability": options.flip_probability,
            "rotation_degrees": options.rotation_degrees,
        }
        self.first_epoch = 0  # in a resumed run, the epoch with which it resumes
        self.splits: Splits = {}
        self.unreadable: dict[Path, str] = {}

    def prepare_data(self) -> None:
        """Draws the surfaces if the options ask for them and they are not in the cache yet."""
        if self.options.surfaces is not None and self.root is None:
            # The sound class is drawn first and the cracked one second, whatever the order of the names.
            names = sorted(self.class_names, key=lambda name: name == self.options.positive_class)
            self.root = cached_surfaces(cache_folder(self.cache_dir), class_names=names, **vars(self.options.surfaces))

    def setup(self, stage: str | None = None) -> None:
        """Finds and checks the photographs and splits them; the second call does nothing.

        Raises ValueError or FileNotFoundError that names the folder, class or files at fault. In any case, files that
        cannot be read are then in `unreadable`.
        """
        if self.splits:
            return
        if self.root is None:
            self.prepare_data()
        self.splits = self._find_splits()
        for split, samples in self.splits.items():
            counts = [sum(sample.label == label for sample in samples) for label in range(len(self.class_names))]
            counts_text = ", ".join(f"{count} {name}" for name, count in zip(self.class_names, counts, strict=True))
            log.info("%s: %d images (%s)", split, len(samples), counts_text)

    def _find_splits(self) -> Splits:
        root, options = self.root, self.options
        if root is None:
            raise UserError("data.root is not set")
        self._check_unsplit(root)
        layout, positive = options.layout, options.positive_class
        splits = self._keep_readable(
            find_dataset(root, self.class_names, layout=layout, positive_class=positive, labels=options.labels)
        )
        if UNSPLIT not in splits:
            if layout == MASKED and self._asks_for_split():
                raise UserError(f"{root} has train/ val/ test/ already: leave out data.group_by and data.folds")
            if layout == TABLE:
                check_every_class(splits, self.class_names)
            return splits
        cache, workers = cache_folder(self.cache_dir), self.num_workers
        group_layout = CLASS_FOLDERS if layout == MASKED else layout
        samples = assign_groups(splits[UNSPLIT], options.group_by, layout=group_layout, cache=cache, workers=workers)
        names = self.class_names
        if options.folds is not None:
            return fold_samples(samples, folds=options.folds, fold=options.fold, seed=self.seed, class_names=names)
        return split_samples(samples, options.fractions, seed=self.seed, class_names=names)

    def _check_unsplit(self, root: Path) -> None:
        """Raises UserError if the options ask for a split and the data set has one already."""
        options = self.options
        if options.layout == MASKED:
            return  # checked later: root may hold images/ and masks/ itself
        if options.layout == TABLE:
            if self._asks_for_split() and table_splits(root, options.labels):
                raise UserError(
                    f"{labels_table(root, options.labels)} says which split each picture belongs to: leave out "
                    "data.group_by and data.folds, or the column split"
                )
        elif (self._asks_for_split() or options.layout != CLASS_FOLDERS) and split_folders(root):
            raise UserError(
                f"{root} is split into train/ val/ test/ already: leave out data.group_by and data.folds, and use "
                "data=folder"
            )

    def _asks_for_split(self) -> bool:
        return self.options.group_by != "file" or self.options.folds is not None

    def _keep_readable(self, splits: Splits) -> dict[str, list[Sample]]:
        """Returns the readable samples of each split, and adds the other files to `unreadable`.

        Raises UserError if a class has no readable sample in a split, or if unreadable files are not to be skipped.
        """
        skip, megapixels, checked = self.options.on_error == "skip", self.options.max_megapixels, {}
        for split, samples in splits.items():
            checked[split], reasons = keep_readable(samples, skip=skip, megapixels=megapixels)
            self.unreadable.update(reasons)
            if reasons and not skip:
                raise UserError(unreadable_message(reasons))
            for label, name in enumerate(self.class_names):
                if not any(sample.label == label for sample in checked[split]):
                    if self.options.layout == MASKED:
                        raise UserError(f"no photograph in {self.root} can be read with its mask: see unreadable.csv")
                    raise UserError(f"class {name} has no readable image in {samples[0].path.parent.parent}")
        return self._with_crack_labels(checked)

    def _with_crack_labels(self, checked: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
        """Returns the samples, completed by the value that means crack in masks, which is the same in all splits."""
        options, all_samples = self.options, [sample for samples in checked.values() for sample in samples]
        root, megapixels = Path(str(options.root)), options.max_megapixels
        labelled_samples = iter(with_crack_labels(all_samples, options.crack_label, root, megapixels=megapixels))
        return {split: list(itertools.islice(labelled_samples, len(samples))) for split, samples in checked.items()}

    def augmented_dataset(self) -> AugmentedDataset:
        """Returns the training pictures with their random views."""
        return AugmentedDataset(self.plain_dataset("train"), self.augmentation, seed=self.seed)

    def plain_dataset(self, split: str) -> PlainDataset:
        """Returns the pictures of a split without augmentation."""
        transform = plain_transform(self.options.image_size)
        return PlainDataset(self.splits[split], transform, megapixels=self.options.max_megapixels)

    def view_sampler(self, dataset: AugmentedDataset, trainer: Trainer | None) -> ViewSampler:
        """Returns the sampler that sets the order of training, with a share for each of the trainer's processes."""
        replicas, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        sampler = ViewSampler(dataset, num_replicas=replicas, rank=rank, seed=self.seed)
        # Lightning sets the epoch only after loading processes have started; without this line, a resumed run would
        # begin with the order of epoch 0.
        sampler.set_epoch(self.first_epoch)
        return sampler

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns a loader of augmented views, shuffled anew in every epoch."""
        dataset = self.augmented_dataset()
        return self._loader(dataset, sampler=self.view_sampler(dataset, self.trainer))

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns a loader of plain views in the order of `splits["val"]`."""
        return self._loader(self.plain_dataset("val"))

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns a loader of plain views in the order of `splits["test"]`."""
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
        """Applies the views to training pictures, which are on the GPU by now, unless this was done while loading."""
        return augment_batch(batch)


def uses_gpu(trainer: Trainer | None) -> bool:
    """Returns whether batches are copied to a CUDA GPU, which is faster from pinned memory."""
    return trainer is not None and trainer.strategy.root_device.type == "cuda"


def for_device(trainer: Trainer | None) -> dict[str, Any]:
    """Returns options for a DataLoader: views are applied on the GPU if there is one, else in the loading processes."""
    return {"pin_memory": True} if uses_gpu(trainer) else {"collate_fn": collate_views}


def collate_views(items: list[Any]) -> Any:
    """Makes a batch of samples and applies their views, if they have any."""
    return augment_batch(default_collate(items))


def augment_batch(batch: Any) -> Any:
    """Turns a batch (pictures, views, labels) into (augmented pictures, labels); returns any other batch unchanged."""
    if len(batch) != 3:
        return batch
    images, views, labels = batch
    return augment(images, views), labels
