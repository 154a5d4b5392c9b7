"""Scenes: drawn structures, and cracks that what stands before them hides."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crack_lightning.data.synthetic import structures
from crack_lightning.data.synthetic.scenes import BEFORE_IT, ON_THE_SURFACE, SIDE, scene

PIECES = {piece.__name__: piece for piece in (*ON_THE_SURFACE, *BEFORE_IT) if piece.__module__ == structures.__name__}


@pytest.mark.parametrize("name", PIECES)
def test_every_structure_is_drawn_and_says_where(name: str) -> None:
    surface = np.full((160, 200, 3), 140, np.float32)
    changed = []
    for seed in range(4):
        picture, mask = PIECES[name](surface.copy(), np.random.default_rng(seed))
        assert (picture.shape, picture.dtype, mask.shape, mask.dtype) == ((160, 200, 3), np.float32, (160, 200), bool)
        assert 0 <= picture.min() <= picture.max() <= 255
        changed.append(float(np.abs(picture - surface).max()))
    assert max(changed) > 5


def test_a_scene_is_the_same_again_and_has_masks() -> None:
    for index in range(3):
        one, again = scene(None, 3, index), scene(None, 3, index)
        assert np.array_equal(np.asarray(one.image), np.asarray(again.image))
        assert one.image.size == (SIDE, SIDE)
        assert one.cover.shape == one.strength.shape == one.clutter.shape == (SIDE, SIDE)
        assert one.style is not None or not one.cover.any()


def test_what_stands_before_a_crack_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def wall(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return picture, np.ones(picture.shape[:2], bool)

    pieces: tuple[Callable[..., Any], ...] = (wall,)
    monkeypatch.setattr("crack_lightning.data.synthetic.scenes.BEFORE_IT", pieces)
    monkeypatch.setattr("crack_lightning.data.synthetic.scenes.OBJECTS_MEAN", 50.0)
    hidden = [scene(None, 3, index) for index in range(3)]
    assert any(drawn.style for drawn in hidden)
    assert not any(drawn.cover.any() for drawn in hidden)
