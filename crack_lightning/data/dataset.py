"""Samples as tensors, and the order in which training sees them."""

from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler
from torchvision.transforms import v2

from crack_lightning.data.images import read_image
from crack_lightning.data.samples import Sample
from crack_lightning.data.transforms import transform_view


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """`dataset[index]` is (uint8 picture (3, h, w), label), always the same."""

    def __init__(self, samples: Sequence[Sample], transform: v2.Compose) -> None:
        self.samples = samples
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample = self.samples[index]
        return self.transform(read_image(sample.path)), sample.label


class AugmentedDataset(Dataset[tuple[Tensor, int]]):
    """`dataset[index, view]` is one of endlessly many random views of a sample, (picture, label).

    The view is asked for by number, so that neither workers, resuming nor the order change what it shows.
    """

    def __init__(self, samples: Sequence[Sample], transform: v2.Compose, *, seed: int) -> None:
        self.samples = samples
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index_view: tuple[int, int]) -> tuple[Tensor, int]:
        index, view = index_view
        sample = self.samples[index]
        picture = read_image(sample.path)
        key = self.key(sample)
        return transform_view(self.transform, picture, seed=self.seed, key=key, view=view), sample.label

    @staticmethod
    def key(sample: Sample) -> str:
        """What a view hangs on besides seed and number: class folder and file name, on any computer."""
        return f"{sample.path.parent.name}/{sample.path.name}"


class ViewSampler(DistributedSampler):
    """Shuffles anew in every epoch, and asks for the view of that epoch.

    The order follows from (seed, epoch) alone; Lightning calls `set_epoch`, also after resuming.
    """

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in super().__iter__():
            yield index, self.epoch
