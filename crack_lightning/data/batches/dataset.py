"""Data sets of samples as tensors, and the order in which training sees them."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from crack_lightning.data.batches.transforms import PlainTransform, random_view
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, read_image
from crack_lightning.data.samples.listing import Sample
from crack_lightning.system.names import comparable


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """Samples without augmentation: `dataset[index]` is (picture (3, h, w) uint8, label)."""

    def __init__(
        self, samples: Sequence[Sample], transform: PlainTransform, *, megapixels: float = MOST_MEGAPIXELS
    ) -> None:
        self.samples = samples
        self.transform = transform
        self.megapixels = megapixels

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample = self.samples[index]
        return self.transform(read_image(sample.path, megapixels=self.megapixels)), sample.label


class AugmentedDataset(Dataset[tuple[Tensor, Tensor, int]]):
    """Samples with any number of random views: `dataset[index, number]` is (plain picture, view (2,), label).

    A view says how to mirror and turn the picture. `augment` does so later, for a whole batch and on its device.
    """

    def __init__(self, plain: PlainDataset, augmentation: Mapping[str, float], *, seed: int) -> None:
        self.plain = plain
        self.augmentation = dict(augmentation)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, index_number: tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        index, number = index_number
        picture, label = self.plain[index]
        return picture, self.view(index, number), label

    def view(self, index: int, number: int) -> Tensor:
        """Returns view number `number` of a sample, (2,), from `random_view`."""
        key = self.key(self.plain.samples[index])
        return random_view(self.augmentation, seed=self.seed, key=key, view=number)

    @staticmethod
    def key(sample: Sample) -> str:
        """Returns class folder and file name, spelt the same on any computer; a view depends on it, seed and number."""
        return comparable(f"{sample.path.parent.name}/{sample.path.name}")


class ViewSampler(DistributedSampler):
    """A sampler that shuffles differently in each epoch and asks for the view whose number is the epoch.

    The order depends only on (seed, epoch). Lightning calls `set_epoch`, also after resuming.
    """

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in super().__iter__():
            yield index, self.epoch
