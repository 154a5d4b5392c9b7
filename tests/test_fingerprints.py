"""Which copies are recognised, and that other pictures are not, on surfaces drawn for the purpose."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from crack_lightning.data.copies.duplicates import MIN_CORRELATION, connected_clusters, near_copies
from crack_lightning.data.copies.fingerprints import fingerprint, invariant_keys, orientations, similarity
from crack_lightning.data.copies.neighbours import close_pairs
from crack_lightning.data.synthetic.surface_folder import render_surface

Copy = Callable[[Image.Image], Image.Image]


def encoded(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


COPIES: dict[str, Copy] = {
    "encoded anew": lambda image: encoded(image, 50),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned and mirrored": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    "all at once": lambda image: encoded(
        ImageEnhance.Brightness(image.transpose(Image.Transpose.ROTATE_270).resize((120, 120))).enhance(0.8), 60
    ),
}


@pytest.fixture(scope="module")
def surfaces() -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(render_surface(seed=11, index=index, positive=index % 2 == 1, size_px=160)))
        for index in range(24)
    ]


def prints(images: list[Image.Image]) -> np.ndarray:
    return np.stack([fingerprint(image) for image in images])


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_recognised(surfaces: list[Image.Image], name: str) -> None:
    copies = prints([COPIES[name](image) for image in surfaces])
    assert similarity(prints(surfaces), copies).min() > MIN_CORRELATION


def test_other_surfaces_are_no_copies(surfaces: list[Image.Image]) -> None:
    pairs, _ = near_copies(prints(surfaces))
    assert len(pairs) == 0


def test_all_copies_of_a_picture_become_one_cluster(surfaces: list[Image.Image]) -> None:
    images = [copy(image) for copy in COPIES.values() for image in surfaces]
    found = connected_clusters(len(images), near_copies(prints(images))[0])
    assert sorted(found) == [list(range(k, len(images), len(surfaces))) for k in range(len(surfaces))]


def test_pictures_of_one_colour_are_copies_of_nothing() -> None:
    blank = [Image.new("RGB", (50, 50), colour) for colour in ("white", "grey", "grey")]
    assert len(near_copies(prints(blank))[0]) == 0


def test_the_key_is_the_same_for_all_eight_orientations() -> None:
    some = np.random.default_rng(0).standard_normal((5, 12, 12)).astype(np.float32)
    turned = orientations(some).reshape(40, 12, 12)
    keys = invariant_keys(turned).reshape(5, 8, -1)
    np.testing.assert_allclose(keys, np.repeat(keys[:, :1], 8, axis=1), atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(keys, axis=2), np.linalg.norm(turned.reshape(5, 8, -1), axis=2), rtol=1e-5
    )


def test_fingerprints_turn_as_pictures_do() -> None:
    image = Image.effect_noise((48, 48), 80).convert("RGB")
    (turned,) = orientations(fingerprint(image)[None])
    for method in Image.Transpose:
        same = fingerprint(image.transpose(method))
        assert min(np.abs(each - same).max() for each in turned) < 1e-4


def test_nearly_all_close_pairs_are_found_and_no_others() -> None:
    random = np.random.default_rng(0)
    points = random.standard_normal((3000, 20)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[1500:] = points[:1500] + 0.01 * random.standard_normal((1500, 20)).astype(np.float32)
    found = close_pairs(points, 0.15)
    assert (np.linalg.norm(points[found[:, 0]] - points[found[:, 1]], axis=1) <= 0.15 + 1e-4).all()
    known = {(k, k + 1500) for k in range(1500)}
    assert len(known & set(map(tuple, found.tolist()))) > 0.99 * 1500


def test_close_pairs_of_few_points_are_exact() -> None:
    points = np.array([[0.0], [0.1], [1.0], [1.05], [3.0]], np.float32)
    assert close_pairs(points, 0.11).tolist() == [[0, 1], [2, 3]]
    assert close_pairs(points[:0], 1).tolist() == []


def test_clusters_hang_together_by_chains() -> None:
    assert connected_clusters(7, [(0, 3), (3, 5), (2, 6)]) == [[0, 3, 5], [2, 6]]
