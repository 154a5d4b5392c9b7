"""Turns a picture of any size into the tensor that the classifier takes, and makes random views of that tensor."""

import math
import random
from collections.abc import Callable, Mapping
from functools import partial

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crack_lightning.system.vision import pil_to_tensor

VERSION = 2  # raised when the numbers change, so that features of older transforms are not mistaken for current ones
CHUNK = 2  # pictures turned at a time on the CPU: more do not fit its cache

WITH_BYTES = ("AVX2", "AVX512")  # processors on which torch resizes bytes as such, as torchvision has it do there

PLAIN_VIEW = torch.zeros(2)
PlainTransform = Callable[[Image.Image], Tensor]


def plain_transform(image_size: int) -> PlainTransform:
    """Returns what makes an RGB picture of any size uint8 (3, image_size, image_size), aspect ratio not kept."""
    return partial(_resized, image_size=image_size)


def _resized(image: Image.Image, *, image_size: int) -> Tensor:
    """Returns what torchvision's `v2.Resize` gives, bilinear and antialiased; to import that takes 1.6 seconds."""
    picture = pil_to_tensor(image)[None]
    as_bytes = torch.backends.cpu.get_cpu_capability() in WITH_BYTES
    size = (image_size, image_size)
    resized = functional.interpolate(picture if as_bytes else picture.float(), size, mode="bilinear", antialias=True)
    resized = resized if as_bytes else resized.round_().to(torch.uint8)
    return resized.contiguous(memory_format=torch.channels_last)[0]


def random_view(augmentation: Mapping[str, float], *, seed: int, key: str, view: int) -> Tensor:
    """Returns view number `view` of the sample `key` as (2,): 1 if mirrored else 0, and the degrees it is turned.

    They are what torchvision's RandomHorizontalFlip(`flip_probability`) and RandomRotation(`rotation_degrees`) draw, as
    a pure function of (seed, key, view): neither the order nor the process nor the global random state affects it.
    """
    draw = random.Random(f"{seed}:{view}:{key}".encode("utf-8", "surrogateescape"))
    mirrored = draw.random() < augmentation["flip_probability"]
    degrees = draw.uniform(-1, 1) * augmentation["rotation_degrees"]
    return torch.tensor([float(mirrored), degrees])


def augmented(images: Tensor, views: Tensor) -> Tensor:
    """Returns square pictures (N, 3, size, size) uint8, mirrored left to right, then turned, as `views` (N, 2) say.

    Works on the device of `images`. The picture is reflected beyond its edges: the black corners of
    RandomRotation look like crack edges, and it has no reflecting fill (pytorch/vision#9147).
    """
    changed = views.any(dim=1).nonzero().flatten()
    result = images.clone()
    for places in changed.split(CHUNK if images.device.type == "cpu" else len(images)):
        result[places] = _turned(images[places], views[places])
    return result


def _turned(images: Tensor, views: Tensor) -> Tensor:
    size = images.shape[-1]
    sign = (1 - 2 * views[:, 0])[:, None, None]
    angle = views[:, 1] * (math.pi / 180)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    centres = (torch.arange(size, device=images.device) * 2 + 1) / size - 1  # centres of pixels, -1 to 1
    x, y = centres[None, None, :], centres[None, :, None]
    grid = torch.stack((sign * (cos * x - sin * y), sin * x + cos * y), dim=-1)  # (N, size, size, 2)
    turned = functional.grid_sample(images.float(), grid, "bilinear", "reflection", align_corners=False)
    return turned.round_().to(images.dtype)
