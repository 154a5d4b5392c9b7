from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.synthetic.drawn_cracks import STYLES, add_cracks
from crack_lightning.data.synthetic.lessons import CLUTTER, CLUTTER_CHANCES, SIDE, Lesson, lesson

Clutter = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
SIZES_HW = ((90, 70), (64, 101))
REACH_PX = 12  # dirt beside a crack is blurred over 7 pixels, after 1 of focus; its lip is moved by 2


def grey(size_hw: tuple[int, int]) -> np.ndarray:
    """A picture on which everything can be seen: a slope of greys."""
    return np.tile(np.linspace(60, 200, size_hw[1], dtype=np.float32)[None, :, None], (size_hw[0], 1, 3))


def near(mask: np.ndarray, reach: int) -> np.ndarray:
    """Pixels within `reach` of the mask, along rows and columns."""
    rows = np.lib.stride_tricks.sliding_window_view(np.pad(mask, reach), 2 * reach + 1, axis=0).any(-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, 2 * reach + 1, axis=1).any(-1))


def same(one: Lesson, other: Lesson) -> bool:
    maps = ((getattr(one, name), getattr(other, name)) for name in ("cover", "strength", "clutter"))
    return one.image.tobytes() == other.image.tobytes() and all(np.array_equal(*pair) for pair in maps)


@pytest.mark.parametrize("index", range(4))
def test_a_lesson_is_drawn_from_its_numbers(index: int) -> None:
    first = lesson(None, 3, index)
    assert same(first, lesson(None, 3, index))
    assert not same(first, lesson(None, 3, index + 1))
    assert not same(first, lesson(None, 4, index))


@pytest.mark.parametrize("side", [60, 300])
def test_a_lesson_is_drawn_onto_a_picture(side: int) -> None:
    blue = Image.new("RGB", (side, side), (90, 140, 200))
    for index in range(3):
        drawn = lesson(blue, 0, index)
        assert same(drawn, lesson(blue, 0, index))
        assert not same(drawn, lesson(None, 0, index))


def test_what_a_lesson_holds_has_its_shape() -> None:
    for index in range(12):
        drawn = lesson(None, 0, index)
        assert (drawn.image.mode, drawn.image.size) == ("RGB", (SIDE, SIDE))
        for values, kind in ((drawn.cover, np.float32), (drawn.strength, np.float32), (drawn.clutter, bool)):
            assert (values.shape, values.dtype) == ((SIDE, SIDE), kind)
            assert 0 <= values.min() <= values.max() <= 1


def test_a_lesson_has_a_cover_exactly_if_cracked() -> None:
    lessons = [lesson(None, 0, index) for index in range(40)]
    assert {drawn.style is None for drawn in lessons} == {True, False}
    for drawn in lessons:
        assert drawn.cover.any() == (drawn.style is not None)
        assert drawn.strength.any() == (drawn.style is not None)
        assert drawn.style is None or drawn.style in STYLES


@pytest.mark.parametrize("clutter", CLUTTER, ids=lambda clutter: clutter.__name__)
def test_clutter_changes_a_picture_where_it_lies(clutter: Clutter) -> None:
    marked = 0
    for size in SIZES_HW:
        before = grey(size)
        for seed in range(8):
            after, where = clutter(before, np.random.default_rng(seed))
            assert (after.shape, after.dtype, where.shape, where.dtype) == (before.shape, np.float32, size, bool)
            assert 0 <= after.min() <= after.max() <= 255
            marked += bool(where.any() and (after != before).any())
        assert np.array_equal(before, grey(size)), "it painted over what it was given"
    assert marked > 0


def test_every_kind_of_clutter_has_a_chance() -> None:
    assert len(CLUTTER) == len(CLUTTER_CHANCES) == 19
    assert CLUTTER_CHANCES.min() > 0
    assert CLUTTER_CHANCES.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(12))
def test_cracks_change_nothing_far_from_them(seed: int) -> None:
    before = grey((200, 300))
    drawn = add_cracks(before, np.random.default_rng(seed))
    changed = (drawn.picture != before).any(axis=2)
    assert changed.any()
    assert not (changed & ~near(drawn.cover > 0, REACH_PX)).any()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(200, 300), (301, 120), (64, 64)])
def test_a_crack_of_every_style_lies_inside(style: str, size: tuple[int, int]) -> None:
    covers = [STYLES[style][1](np.random.default_rng(seed), size) for seed in range(6)]
    for cover in covers:
        assert (cover.shape, cover.dtype) == (size, np.float32)
        assert 0 <= cover.min() <= cover.max() <= 1
    assert sum((cover > 0.4).any() for cover in covers) >= 4


def test_widths_do_not_depend_on_the_picture() -> None:
    def width(size: int) -> float:
        """Pixels of opening for each pixel of length, in the middle of many."""
        draw = STYLES["open"][1]
        return float(np.median([draw(np.random.default_rng(seed), (size, size)).sum() / size for seed in range(40)]))

    assert width(400) == pytest.approx(width(130), rel=0.5)
