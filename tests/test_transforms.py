import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from crack_lightning.data.batches.transforms import augment, plain_transform, random_view

NOISE = Image.effect_noise((90, 70), 60).convert("RGB")
KERAS = {"flip_probability": 0.5, "rotation_degrees": 72.0}


def drawn(*, seed: int = 0, key: str = "a", number: int = 0) -> torch.Tensor:
    return random_view(KERAS, seed=seed, key=key, view=number)


def shown(image: Image.Image, *views: tuple[float, float]) -> torch.Tensor:
    pictures = plain_transform(64)(image).expand(len(views), -1, -1, -1)
    return augment(pictures, torch.tensor(views))


@pytest.mark.parametrize("size", [32, 180, 181])
def test_the_plain_transform_gives_a_square_of_bytes(size: int) -> None:
    tensor = plain_transform(size)(NOISE)
    assert (tensor.shape, tensor.dtype) == ((3, size, size), torch.uint8)


@pytest.mark.parametrize("size_hw", [(90, 70), (64, 64), (1, 300), (700, 500)])
def test_the_plain_transform_gives_what_torchvision_gives(size_hw: tuple[int, int]) -> None:
    image = Image.effect_noise(size_hw, 60).convert("RGB")
    same = v2.Compose([v2.PILToTensor(), v2.Resize((64, 64), InterpolationMode.BILINEAR, antialias=True)])(image)
    tensor = plain_transform(64)(image)
    assert torch.equal(tensor, same)
    assert tensor.stride() == same.stride()


def test_a_turned_white_picture_has_no_black_corner() -> None:
    white = Image.new("RGB", (90, 70), "white")
    assert shown(white, *[(0.0, float(degrees)) for degrees in range(-72, 73, 9)]).min() == 255


def test_a_view_follows_from_seed_key_and_number_alone() -> None:
    first = drawn()
    torch.manual_seed(99)
    assert torch.equal(first, drawn())
    for other in (drawn(seed=1), drawn(key="b"), drawn(number=1)):
        assert not torch.equal(first, other)


def test_a_name_that_is_no_text_has_views_too() -> None:
    assert drawn(key="caf\udce9.jpg").shape == (2,)


def test_views_turn_up_to_72_degrees_and_half_are_mirrored() -> None:
    mirrored, degrees = torch.stack([drawn(number=number) for number in range(400)]).unbind(1)
    assert set(mirrored.tolist()) == {0.0, 1.0}
    assert 160 < mirrored.sum() < 240
    assert 68 < degrees.max() <= 72
    assert -72 <= degrees.min() < -68
    assert abs(degrees.mean()) < 8


def test_mirroring_is_that_of_torchvision() -> None:
    picture = plain_transform(64)(NOISE)
    assert torch.equal(shown(NOISE, (1.0, 0.0))[0], v2.functional.horizontal_flip(picture))


@pytest.mark.parametrize("degrees", [-72.0, -10.0, 30.0, 90.0])
def test_turning_is_that_of_torchvision_where_the_picture_covers_it(degrees: float) -> None:
    picture = v2.functional.gaussian_blur(plain_transform(64)(NOISE), 5)
    turned = augment(picture[None], torch.tensor([[0.0, degrees]]))[0]
    same = v2.functional.rotate(picture, degrees, InterpolationMode.BILINEAR)
    y, x = np.mgrid[:64, :64] - 31.5
    inside = torch.from_numpy(x**2 + y**2 < 30**2)
    assert (turned.int() - same.int()).abs()[:, inside].max() <= 1


def test_it_is_mirrored_first_and_turned_then() -> None:
    both = shown(NOISE, (1.0, 30.0))
    one_by_one = augment(shown(NOISE, (1.0, 0.0)), torch.tensor([[0.0, 30.0]]))
    assert (both.int() - one_by_one.int()).abs().max() <= 1


def test_the_plain_view_is_the_picture_whatever_stands_beside_it() -> None:
    pictures = shown(NOISE, *[(0.0, 20.0)] * 20, (0.0, 0.0))
    assert torch.equal(pictures[-1], plain_transform(64)(NOISE))


def test_a_view_does_not_depend_on_its_batch() -> None:
    views = [(float(k % 2), 7.0 * k - 60) for k in range(18)]
    together = shown(NOISE, *views)
    for view, picture in zip(views, together, strict=True):
        assert torch.equal(shown(NOISE, view)[0], picture)
