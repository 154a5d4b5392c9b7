"""The LightningDataModule over a data set of any layout, given or drawn."""

import itertools
import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset, default_collate

from crack_lightning.data.batches.dataset import AugmentedDataset, PlainDataset, ViewSampler
from crack_lightning.data.batches.transforms import augmented, plain_transform
from crack_lightning.data.images.checks import unreadable_message
from crack_lightning.data.options import DataOptions
from crack_lightning.data.samples.finding import WHOLE, find_dataset, readable
from crack_lightning.data.samples.groups import grouped
from crack_lightning.data.samples.labels import table_of, table_splits
from crack_lightning.data.samples.layouts import MASKED, OWN, TABLE
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.masks import labelled
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

PHOTOGRAPH = "photograph"  # stands for the class of those that have masks


class CrackDataModule(LightningDataModule):
    """Class folders as training, validation and test batches of (uint8 (N, 3, h, w), labels (N,)).

    `options.root` holds class folders, which are split by `fractions`, or `train/ val/ test/` with class folders in
    each. With `surfaces` the folder is drawn instead, once, into `cache_dir`. Nothing is read before `prepare_data`.
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
        root, options = self.root, self.options
        if root is None:
            raise UserError("data.root is not set")
        self._check_unsplit(root)
        layout, positive = options.layout, options.positive_class
        found = self._checked(
            find_dataset(root, self.class_names, layout=layout, positive_class=positive, labels=options.labels)
        )
        if WHOLE not in found:
            if layout == MASKED and self._divides():
                raise UserError(f"{root} is split into train/ val/ test/ already: leave data.group_by, data.folds out")
            if layout == TABLE:
                check_every_class(found, self.class_names)
            return found
        cache, workers = cache_folder(self.cache_dir), self.num_workers
        own = OWN if layout == MASKED else layout
        samples = grouped(found[WHOLE], options.group_by, layout=own, cache=cache, workers=workers)
        names = self.class_names
        if options.folds is not None:
            return fold_samples(samples, folds=options.folds, fold=options.fold, seed=self.seed, class_names=names)
        return split_samples(samples, options.fractions, seed=self.seed, class_names=names)

    def _check_unsplit(self, root: Path) -> None:
        """Raises UserError for options that would split a data set which is split already."""
        options = self.options
        if options.layout == MASKED:
            return  # which looks for images/ and masks/ first
        if options.layout == TABLE:
            if self._divides() and table_splits(root, options.labels):
                raise UserError(
                    f"{table_of(root, options.labels)} says which split each picture belongs to: leave data.group_by "
                    "and data.folds out, or the column split"
                )
        elif (self._divides() or options.layout != OWN) and split_folders(root):
            raise UserError(
                f"{root} is split into train/ val/ test/ already: leave data.group_by and data.folds out, and use "
                "data=folder"
            )

    def _divides(self) -> bool:
        return self.options.group_by != "file" or self.options.folds is not None

    def _checked(self, found: Splits) -> dict[str, list[Sample]]:
        """Those samples that can be read, of every class some. What could not be read is in `unreadable`."""
        skip, megapixels, checked = self.options.on_error == "skip", self.options.max_megapixels, {}
        for split, samples in found.items():
            checked[split], bad = readable(samples, skip=skip, megapixels=megapixels)
            self.unreadable.update(bad)
            if bad and not skip:
                raise UserError(unreadable_message(bad))
            for label, name in enumerate(self.class_names):
                if not any(sample.label == label for sample in checked[split]):
                    if self.options.layout == MASKED:
                        raise UserError(f"no photograph in {self.root} can be read with its mask: see unreadable.csv")
                    raise UserError(f"class {name} has no readable image in {samples[0].path.parent.parent}")
        return self._labelled(checked)

    def _labelled(self, checked: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
        """The same, where masks know which of their values is crack: one of all splits."""
        options, everything = self.options, [sample for samples in checked.values() for sample in samples]
        root = Path(str(options.root))
        ready = iter(labelled(everything, options.crack_label, root, megapixels=options.max_megapixels))
        return {split: list(itertools.islice(ready, len(samples))) for split, samples in checked.items()}

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
