import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.data.transforms import plain_transform, training_transform, transform_view

NOISE = Image.effect_noise((90, 70), 60).convert("RGB")


def view(image: Image.Image = NOISE, *, seed: int = 0, key: str = "a", number: int = 0) -> torch.Tensor:
    transform = training_transform(64, flip_probability=0.5, rotation_degrees=72.0)
    return transform_view(transform, image, seed=seed, key=key, view=number)


@pytest.mark.parametrize("size", [32, 180, 181])
def test_both_transforms_give_a_square_of_bytes(size: int) -> None:
    for transform in (plain_transform(size), training_transform(size, flip_probability=1, rotation_degrees=72)):
        tensor = transform(NOISE)
        assert (tensor.shape, tensor.dtype) == ((3, size, size), torch.uint8)


def test_a_turned_white_picture_has_no_black_corner() -> None:
    white = Image.new("RGB", (90, 70), "white")
    for number in range(20):
        assert view(white, number=number).min() == 255


def test_a_view_follows_from_seed_key_and_number_alone() -> None:
    first = view()
    torch.manual_seed(99)
    assert torch.equal(first, view())
    for other in (view(seed=1), view(key="b"), view(number=1)):
        assert not torch.equal(first, other)


def test_a_view_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    view()
    assert torch.equal(before, torch.get_rng_state())


def test_the_views_are_turned_by_up_to_72_degrees_and_half_of_them_mirrored() -> None:
    # A wedge of light from the centre to the right: where it lies tells angle and mirroring.
    picture = np.zeros((129, 129, 3), dtype=np.uint8)
    picture[62:67, 64:110] = 255
    angles = []
    for number in range(200):
        light = view(Image.fromarray(picture), number=number)[0].float()
        y, x = (light * torch.arange(64)[:, None]).sum() / light.sum(), (light * torch.arange(64)).sum() / light.sum()
        angles.append(np.degrees(np.arctan2(float(y) - 31.5, float(x) - 31.5)))
    mirrored = [abs(angle) > 90 for angle in angles]
    assert 70 < sum(mirrored) < 130
    turns = [180 - abs(angle) if flip else abs(angle) for angle, flip in zip(angles, mirrored, strict=True)]
    assert max(turns) < 76
    assert max(turns) > 60


def test_no_flip_and_no_rotation_is_the_plain_view() -> None:
    still = training_transform(64, flip_probability=0.0, rotation_degrees=0.0)
    assert torch.equal(still(NOISE), plain_transform(64)(NOISE))
