import numpy as np
import pytest

from crack_lightning.inference.heat import Heat
from crack_lightning.inference.regions import geojson, regions


def heat(levels: list[list[float]], step: float = 10.0) -> Heat:
    array = np.array(levels, np.float32)
    y, x = ((np.arange(n) + 0.5) * step for n in array.shape)
    return Heat(array, y, x, (round(array.shape[0] * step), round(array.shape[1] * step)), step)


def test_nothing_above_the_threshold_is_no_region() -> None:
    assert regions(heat([[0.1, 0.2], [0.1, 0.2]]), 0.5) == []


def test_all_above_the_threshold_is_the_whole_photograph() -> None:
    (found,) = regions(heat([[0.9, 0.9], [0.9, 0.9]]), 0.5)
    assert found.area_px == pytest.approx(400)
    assert found.length_px == pytest.approx(np.hypot(20, 20), rel=0.3)
    assert (found.peak, found.mean) == (pytest.approx(0.9), pytest.approx(0.9))


def test_regions_that_do_not_touch_are_separate_largest_first() -> None:
    found = regions(heat([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]), 0.5)
    assert len(found) == 2
    assert found[0].area_px > found[1].area_px
    assert found[1].polygon.bounds[2] <= 10.0


def test_a_ring_has_a_hole_that_does_not_count() -> None:
    levels = [[0.0] * 7, *([0, 1, 1, 1, 1, 1, 0] for _ in range(5)), [0.0] * 7]
    levels[3] = [0, 1, 0, 0, 0, 1, 0]
    levels[2], levels[4] = [0, 1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1, 0]
    (found,) = regions(heat([[float(v) for v in row] for row in levels]), 0.5)
    assert len(found.polygon.interiors) == 1
    assert found.area_px < 60 * 60 - 20 * 20


def test_a_bar_is_as_long_as_it_is() -> None:
    levels = [[0.0] * 12, [0.0] + [1.0] * 10 + [0.0], [0.0] * 12]
    (found,) = regions(heat(levels), 0.5)
    assert found.length_px == pytest.approx(100, abs=1)


def test_geojson_has_closed_rings_and_millimetres_where_they_are_known() -> None:
    found = regions(heat([[0, 0, 0], [0, 1, 0], [0, 0, 0]]), 0.5)
    plain = geojson(found, mm_per_px=None)["features"][0]
    ring = plain["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert "area_mm2" not in plain["properties"]
    known = geojson(found, mm_per_px=0.5)["features"][0]["properties"]
    assert known["area_mm2"] == pytest.approx(known["area_px"] / 4, abs=0.1)
    assert known["length_mm"] == pytest.approx(known["length_px"] / 2, abs=0.1)
