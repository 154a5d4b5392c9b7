"""What a classifier says of a list of image files."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from crack_lightning.data.dataset import PlainDataset
from crack_lightning.data.images import read_image
from crack_lightning.data.loading import worker_options
from crack_lightning.data.progress import track
from crack_lightning.data.samples import Sample
from crack_lightning.data.transforms import plain_transform
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.engines import Engine, pick_engine


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU if there is one.

    Raises ValueError for a device that is unknown or not there.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name} is not there: {str(error).splitlines()[0]}; use auto or cpu") from error


@torch.no_grad()
def predict_samples(
    classifier: CrackClassifier,
    samples: Sequence[Sample],
    *,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    engine: str = "auto",
) -> Tensor:
    """Logits (N, 2) of `samples`, in their order, on the CPU; the features are computed by `engine`."""
    classifier = classifier.eval().to(device)
    dataset = PlainDataset(samples, plain_transform(classifier.image_size))
    loader = DataLoader(dataset, batch_size=batch_size, **worker_options(num_workers))
    logits = [torch.empty(0, len(classifier.class_names))]
    batches = track(loader, "predicting", total=len(loader), unit="batches")
    features: Engine | None = None
    for images, _ in batches:
        images = images.to(device)
        features = features or pick_engine(classifier, engine, images)
        logits.append(classifier.classify(features(images)).float().cpu())
    return torch.cat(logits)


class FileDataset(Dataset[tuple[Tensor, str]]):
    """`dataset[index]` is (uint8 picture (3, h, w), ""), or of a file that cannot be read (zeros, why)."""

    def __init__(self, paths: Sequence[Path], transform: v2.Compose, image_size: int) -> None:
        self.paths, self.transform = paths, transform
        self.nothing = torch.zeros(3, image_size, image_size, dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        try:
            return self.transform(read_image(self.paths[index])), ""
        except ValueError as error:
            return self.nothing, str(error)


@torch.no_grad()
def predict_files(
    classifier: CrackClassifier,
    paths: Sequence[Path],
    *,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    engine: str,
) -> tuple[Tensor, list[str]]:
    """Probabilities (N,) of the positive class, and for each file why it cannot be read, or nothing."""
    classifier = classifier.eval().to(device)
    dataset = FileDataset(paths, plain_transform(classifier.image_size), classifier.image_size)
    loader = DataLoader(dataset, batch_size=batch_size, **worker_options(num_workers))
    logits, errors = [torch.empty(0, len(classifier.class_names))], list[str]()
    features: Engine | None = None
    for images, problems in track(loader, "predicting", total=len(loader), unit="batches"):
        images = images.to(device)
        features = features or pick_engine(classifier, engine, images)
        logits.append(classifier.classify(features(images)).float().cpu())
        errors += problems
    return classifier.probabilities(torch.cat(logits))[:, classifier.positive_index], errors
