"""What became of cracks between two photographs of one place."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from crack_lightning.measurement.alignment import Alignment
from crack_lightning.measurement.changes import changes_of
from crack_lightning.measurement.resolution import View, ViewedCrack


def gap(lines: Iterator[tuple[float, float, float, int]] | list[tuple[float, float, float, int]]) -> np.ndarray:
    """Grey levels with a dark horizontal gap for each of (left, right, y, width)."""
    grey = np.random.default_rng(4).normal(160, 2, (300, 400))
    for left, right, y, width in lines:
        grey[round(y - width / 2) : round(y + width / 2), round(left) : round(right)] = 50
    return grey.astype(np.uint8)


def seen(number: int, left: float, right: float, y: float, width: float) -> ViewedCrack:
    points = np.column_stack([np.arange(left, right, 2.0), np.full(len(np.arange(left, right, 2.0)), y)])
    return ViewedCrack(number, [points], np.full(len(points), width), 0.2)


def test_growth_width_and_disappearance_are_told_apart() -> None:
    old = [seen(1, 50, 200, 50, 4), seen(2, 50, 300, 110, 4), seen(3, 50, 300, 170, 4), seen(4, 50, 300, 230, 4)]
    new = [seen(1, 50, 260, 50, 4), seen(2, 50, 300, 110, 6), seen(3, 50, 300, 170, 4)]
    before = View(gap([(50, 200, 50, 4), (50, 300, 110, 4), (50, 300, 170, 4), (50, 300, 230, 4)]), old)
    after = View(gap([(50, 260, 50, 4), (50, 300, 110, 6), (50, 300, 170, 4)]), new)
    found = {change.kind: change for change in changes_of(before, after, Alignment(np.eye(3), 100))}
    assert {kind: (change.before, change.after) for kind, change in found.items()} == {
        "longer": ([1], [1]),
        "wider": ([2], [2]),
        "unchanged": ([3], [3]),
        "gone": ([4], []),
    }
    assert (found["wider"].width_before, found["wider"].width_after) == (4, 6)


def test_what_both_photographs_show_is_no_change() -> None:
    """A crack that one of the maps did not mark."""
    grey = gap([(50, 300, 110, 4)])
    found = changes_of(View(grey, []), View(grey, [seen(1, 50, 300, 110, 4)]), Alignment(np.eye(3), 100))
    assert found == []


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("coarser", ["before", "after"])
def test_a_photograph_of_fewer_pixels_shows_no_change(share: float, coarser: str) -> None:
    """A finer one shows more: a hairline, a faint end of a crack, and its width."""
    grey = gap([(50, 300, 110, 6), (50, 300, 200, 1), (300, 370, 110, 1)])
    fine = View(grey, [seen(1, 50, 370, 110, 6), seen(2, 50, 300, 200, 1)])
    coarse = View(smaller(grey, share), [seen(1, 50 * share, 300 * share, 110 * share, 9 * share)])
    before, after, factor = (coarse, fine, 1 / share) if coarser == "before" else (fine, coarse, share)
    found = changes_of(before, after, Alignment(np.diag([factor, factor, 1.0]), 100))
    assert {change.kind for change in found} == {"unchanged"}
    both = next(change for change in found if change.before and change.after)
    long = {"before": (250.0, 320.0), "after": (320 * share, 250 * share)}[coarser]  # in pixels of the later one
    assert (both.length_before, both.length_after) == pytest.approx(long, rel=0.05)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_new_crack_is_new_at_any_resolution(share: float) -> None:
    before, after = View(smaller(gap([]), share), []), View(gap([(50, 300, 110, 6)]), [seen(1, 50, 300, 110, 6)])
    (found,) = changes_of(before, after, Alignment(np.diag([1 / share, 1 / share, 1.0]), 100))
    assert (found.kind, found.length_after) == ("new", pytest.approx(250, rel=0.05))
    assert found.added[0][:, 0].max() == pytest.approx(300, abs=4)


def smaller(grey: np.ndarray, share: float) -> np.ndarray:
    width, height = (round(side * share) for side in grey.shape[::-1])
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS))


def test_light_that_switches_how_a_width_is_measured_makes_nothing_wider() -> None:
    grey = gap([(50, 300, 110, 3)])
    now = View((grey * 0.8).astype(np.uint8), [seen(1, 50, 300, 110, 5)])
    (found,) = changes_of(View(grey, [seen(1, 50, 300, 110, 3)]), now, Alignment(np.eye(3), 100))
    assert found.kind == "unchanged"
