"""From a picture of any size to the tensor that the classifier takes."""

import math
import zlib

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

IMAGE_SIZES = range(32, 1025)  # the backbones halve the picture five times

BILINEAR = InterpolationMode.BILINEAR


def plain_transform(image_size: int) -> v2.Compose:
    """RGB picture of any size -> uint8 (3, image_size, image_size), aspect ratio not kept."""
    return v2.Compose([v2.Resize((image_size, image_size), BILINEAR), v2.PILToTensor()])


def training_transform(image_size: int, *, flip_probability: float, rotation_degrees: float) -> v2.Compose:
    """As `plain_transform`, then mirrored left to right and turned by up to +-`rotation_degrees`.

    The picture is reflected at its edges before it is turned: black corners would look like crack edges.
    """
    margin = math.ceil(image_size * (math.sqrt(2) - 1) / 2) + 1  # what the diagonal sticks out
    return v2.Compose(
        [
            v2.Resize((image_size, image_size), BILINEAR),
            v2.RandomHorizontalFlip(flip_probability),
            v2.Pad(margin, padding_mode="reflect"),
            v2.RandomRotation(rotation_degrees, BILINEAR),
            v2.CenterCrop(image_size),
            v2.PILToTensor(),
        ]
    )


def transform_view(transform: v2.Compose, image: Image.Image, *, seed: int, key: str, view: int) -> Tensor:
    """Apply a random transform as a pure function of (seed, sample's key, view).

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(f"{seed}:{view}:{key}".encode("utf-8", "surrogateescape")))
        return transform(image)
