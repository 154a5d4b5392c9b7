"""Converts a picture of any size to the tensor that the classifier takes, and makes random views of that tensor."""

import math
import random
from collections.abc import Callable, Mapping
from functools import partial

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crack_lightning.system.vision import pil_to_tensor

# Raised when the transforms give other values, so that stored features of older transforms are not used.
VERSION = 2
CPU_CHUNK = 2  # number of pictures turned at once on the CPU; more do not fit into its cache
BYTE_RESIZING = ("AVX2", "AVX512")  # on these CPUs, torchvision lets torch resize bytes without converting to floats
PLAIN_VIEW = torch.zeros(2)  # neither mirrored nor turned
PlainTransform = Callable[[Image.Image], Tensor]


def plain_transform(image_size: int) -> PlainTransform:
    """Returns a function from an RGB picture to uint8 (3, image_size, image_size); it ignores the aspect ratio."""
    return partial(_resize, image_size=image_size)


def _resize(image: Image.Image, *, image_size: int) -> Tensor:
    """Returns the same as torchvision's `v2.Resize`, bilinear and antialiased, whose import would take 1.6 seconds."""
    picture = pil_to_tensor(image)[None]
    as_bytes = torch.backends.cpu.get_cpu_capability() in BYTE_RESIZING
    size = (image_size, image_size)
    resized = functional.interpolate(picture if as_bytes else picture.float(), size, mode="bilinear", antialias=True)
    resized = resized if as_bytes else resized.round_().to(torch.uint8)
    return resized.contiguous(memory_format=torch.channels_last)[0]


def random_view(augmentation: Mapping[str, float], *, seed: int, key: str, view: int) -> Tensor:
    """Returns view number `view` of the sample `key` as (2,): 1 if mirrored, else 0, and the angle in degrees.

    The two have the same distributions as in torchvision's RandomHorizontalFlip(`flip_probability`) and
    RandomRotation(`rotation_degrees`), but depend only on (seed, key, view): order of samples, number of processes and
    global random state do not matter.
    """
    draw = random.Random(f"{seed}:{view}:{key}".encode("utf-8", "surrogateescape"))
    mirrored = draw.random() < augmentation["flip_probability"]
    degrees = draw.uniform(-1, 1) * augmentation["rotation_degrees"]
    return torch.tensor([float(mirrored), degrees])


def augment(images: Tensor, views: Tensor) -> Tensor:
    """Returns square pictures (N, 3, size, size) uint8, mirrored left to right and then turned, as `views` (N, 2) say.

    Works on the device of `images`. Beyond its edges, a picture continues as its mirror image. RandomRotation cannot do
    that (pytorch/vision#9147): it leaves black corners, whose edges look like cracks.
    """
    changed = views.any(dim=1).nonzero().flatten()
    result = images.clone()
    for indices in changed.split(CPU_CHUNK if images.device.type == "cpu" else len(images)):
        result[indices] = _transform_views(images[indices], views[indices])
    return result


def _transform_views(images: Tensor, views: Tensor) -> Tensor:
    size = images.shape[-1]
    sign = (1 - 2 * views[:, 0])[:, None, None]
    angle = views[:, 1] * (math.pi / 180)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    centres = (torch.arange(size, device=images.device) * 2 + 1) / size - 1  # centres of pixels, -1 to 1
    x, y = centres[None, None, :], centres[None, :, None]
    grid = torch.stack((sign * (cos * x - sin * y), sin * x + cos * y), dim=-1)  # (N, size, size, 2)
    turned = functional.grid_sample(images.float(), grid, "bilinear", "reflection", align_corners=False)
    return turned.round_().to(images.dtype)
