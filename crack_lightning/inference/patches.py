"""What a classifier says of a list of image files."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from crack_lightning.data.dataset import PlainDataset
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
