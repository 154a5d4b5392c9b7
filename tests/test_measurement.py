"""Lines, widths and what may be claimed of them, on pictures whose truth is known."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from drawn_lines import straight, through_the_middle

from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.heat import Heat
from crack_lightning.measurement.centres import centred
from crack_lightning.measurement.classes import PRESETS, width_classes
from crack_lightning.measurement.cracks import Crack, measure_crack
from crack_lightning.measurement.network import Branch, refine_cracks
from crack_lightning.measurement.paths import length_of, passed_once, resampled, smoothed
from crack_lightning.measurement.profiles import _sharpness
from crack_lightning.measurement.record import COLUMNS, collection, pixel_records, records_of
from crack_lightning.measurement.scale import Scale, uniform_scale
from crack_lightning.measurement.skeletons import skeleton_of

SIZE = (200, 260)


def crack(width: float, *, angle: float = 0.3, blur: float = 0.5) -> Crack:
    grey = straight(SIZE, width=width, angle=angle, blur=blur)
    points = through_the_middle(SIZE, angle=angle, length=150)
    branch = Branch(points, 0, width / 2 + 5, np.ones(len(points)))
    return measure_crack([(centred(grey, points, branch.radius_px), branch)], grey)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, math.pi / 2])
@pytest.mark.parametrize("width", [3.0, 6.5, 12.0, 20.0])
def test_a_wide_gap_is_measured_between_its_flanks(width: float, angle: float) -> None:
    found = crack(width, angle=angle).width
    assert found.median is not None
    assert found.uncertainty is not None
    assert abs(found.median - width) < (0.3 if width == 3 else 0.15)  # at 3 px the darkness gives half of it
    assert found.uncertainty < 0.3


@pytest.mark.parametrize("dark", [(60, 140), (192, 200)])
def test_no_width_is_claimed_without_both_flanks(dark: tuple[int, int]) -> None:
    """Along one rim of a wide gap, and where the picture ends in the crack: nor is an upper limit known there."""
    grey = np.full((200, 200), 150.0)
    grey[dark[0] : dark[1]] = 40
    grey += np.random.default_rng(0).normal(0, 3, grey.shape)
    line = np.column_stack([np.arange(20.0, 180.0), np.full(160, dark[0] + 3.0)])
    branch = Branch(line, 0, 11.0, np.ones(len(line)))
    found = measure_crack([(line, branch)], grey)
    assert found.width.median is None
    assert np.isnan(found.width.along).all()
    (record,) = pixel_records([found])
    assert record.width_px.below is None


@pytest.mark.parametrize(("width", "blur"), [(2.0, 0.3), (2.5, 0.3), (2.5, 0.7)])
def test_a_narrow_gap_is_measured_by_its_darkness(width: float, blur: float) -> None:
    found = crack(width, blur=blur).width
    assert found.median is not None
    assert abs(found.median - width) < 0.35


def test_a_gap_that_the_blur_nearly_fills_is_given_as_less_than_a_limit() -> None:
    found = crack(2.0, blur=0.7).width
    assert found.median is None
    assert 2.0 <= found.limit < 3.0


@pytest.mark.parametrize("blur", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("width", [0.4, 0.7, 0.95])
def test_below_a_pixel_no_width_is_claimed(width: float, blur: float) -> None:
    found = crack(width, blur=blur).width
    assert (found.median, found.p95, found.maximum, found.uncertainty) == (None,) * 4
    assert found.limit >= width
    assert np.isnan(found.along).all()


def test_the_line_lies_in_the_middle_of_the_gap() -> None:
    (line,) = crack(5.0).lines
    aside = (line[:, 1] - SIZE[0] / 2) * math.cos(0.3) - (line[:, 0] - SIZE[1] / 2) * math.sin(0.3)
    assert np.abs(aside[5:-5]).max() < 0.75
    assert abs(length_of(line[3:-3]) / np.hypot(*(line[-4] - line[3])) - 1) < 0.01


@pytest.mark.parametrize("width", [2.0, 3.0, 4.0])
def test_sharpness_of_a_blurred_gap_is_recovered(width: float) -> None:
    from scipy.special import erf

    offsets = np.linspace(-20, 20, 40001)
    depth = erf((width / 2 - offsets) / math.sqrt(2)) + erf((width / 2 + offsets) / math.sqrt(2))
    widths = [np.ptp(offsets[depth >= share * depth.max()]) for share in (0.25, 0.5, 0.75)]
    found = _sharpness(*map(float, widths))
    assert abs(found.blur_px - 1) < 0.05
    assert abs(found.peak - depth.max() / 2) < 0.05


def heat_of_cells(marked: np.ndarray) -> Heat:
    """A map whose probability is high where cells are marked."""
    height, width = (4 * side for side in marked.shape)
    y, x = ((np.arange(side) + 0.5) * 4 for side in marked.shape)
    return Heat(np.where(marked, 0.95, 0.02).astype(np.float32), y, x, (height, width), 4.0, 227.0)


def cells_along(angle: float) -> np.ndarray:
    y, x = np.mgrid[:50, :65]
    distance = np.abs((4 * y + 2 - 100) * math.cos(angle) - (4 * x + 2 - 130) * math.sin(angle))
    return distance < 7


def test_a_crack_of_a_map_touches_the_edges_that_it_runs_to() -> None:
    grey = straight(SIZE, width=6, angle=0.3)
    (found,) = cracks_of(heat_of_cells(cells_along(0.3)), grey, 0.5)
    assert found.touches_edge
    assert abs(found.length_px - 260 / math.cos(0.3)) < 8
    assert found.width.median is not None
    assert abs(found.width.median - 6) < 0.3


def test_gaps_in_the_map_are_bridged_where_the_photograph_shows_the_crack() -> None:
    marked = cells_along(0.3)
    marked[:, 30:38] = False
    grey = straight(SIZE, width=6, angle=0.3)
    (found,) = cracks_of(heat_of_cells(marked), grey, 0.5)
    assert abs(found.length_px - 260 / math.cos(0.3)) < 8


def test_an_empty_map_has_no_cracks() -> None:
    assert cracks_of(heat_of_cells(np.zeros((50, 65), bool)), np.full((200, 260), 120, np.uint8), 0.5) == []


def test_a_surface_without_a_dark_line_claims_no_width() -> None:
    grey = np.random.default_rng(2).normal(150, 3, SIZE).astype(np.uint8)
    cracks = cracks_of(heat_of_cells(cells_along(0.3)), grey, 0.5)
    assert cracks
    assert all(found.width.median is None for found in cracks)


def test_a_crossing_has_four_branches_and_is_one_crack() -> None:
    marked = cells_along(0.3) | cells_along(-1.1)
    skeleton = skeleton_of(marked, np.where(marked, 3.0, -4.0))
    assert len(skeleton.branches) in (4, 5)  # a crossing may be thinned to two forks
    assert len(set(skeleton.groups)) == 1


def test_a_closed_ring_is_one_branch_that_ends_where_it_begins() -> None:
    y, x = np.mgrid[:60, :60]
    marked = np.abs(np.hypot(y - 30, x - 30) - 20) < 1.5
    (ring,) = skeleton_of(marked, np.where(marked, 3.0, -4.0)).branches
    assert np.array_equal(ring[0], ring[-1])
    assert abs(length_of(ring) / (2 * math.pi * 20) - 1) < 0.12


def test_short_spurs_are_cut() -> None:
    marked = np.zeros((40, 60), bool)
    marked[19:22, 5:55] = True
    marked[15:19, 30] = True
    (line,) = skeleton_of(marked, np.where(marked, 3.0, -4.0)).branches
    assert np.abs(line[:, 0] - 20).max() <= 1


def test_a_map_of_noise_with_thousands_of_branches_is_taken_apart() -> None:
    rng = np.random.default_rng(3)
    marked = rng.random((520, 520)) < 0.35
    skeleton = skeleton_of(marked, np.where(marked, 1.0, -1.0))
    assert len(skeleton.branches) > 5000
    grey = rng.normal(140, 10, (2080, 2080)).clip(0, 255).astype(np.uint8)
    some = [
        Branch((cells[:, ::-1] + 0.5) * 4, group, 6.0, np.ones(len(cells)))
        for cells, group in list(zip(skeleton.branches, skeleton.groups, strict=True))[:200]
    ]
    lengths = [measure_crack(parts, grey).length_px for parts in refine_cracks(some, grey)]
    assert lengths
    assert min(lengths) > 0


def test_a_line_that_runs_back_counts_once() -> None:
    there = np.array([[0.0, 50.0], [200.0, 50.0]])
    back_and_on = np.concatenate([there, there[::-1] + 2.0, [[0.0, 52.0], [0.0, 252.0]]])
    parts = passed_once(back_and_on, 6.0, 4.0)
    assert sum(map(length_of, parts)) == pytest.approx(400, abs=30)
    turns = np.linspace(0, 2 * np.pi, 100)
    ring = 50 * np.column_stack([np.cos(turns), np.sin(turns)])
    eight = 80 * np.column_stack([np.sin(turns), np.sin(2 * turns)])
    for whole in (there, ring, eight):
        (same,) = passed_once(whole, 6.0, 4.0)
        assert length_of(same) == pytest.approx(length_of(whole), rel=0.02)


def test_resampling_keeps_ends_and_length() -> None:
    points = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 20.0]])
    found = resampled(points, 2.0)
    assert np.array_equal(found[[0, -1]], points[[0, -1]])
    assert abs(length_of(found) - 30) < 0.1
    assert np.array_equal(smoothed(found, 2.0)[[0, -1]], points[[0, -1]])


def test_records_are_empty_where_nothing_may_be_claimed() -> None:
    wide, hair = crack(5.0), crack(0.5)
    classes = width_classes("ec2")
    in_pixels, in_mm = (
        records_of([wide, hair], None, classes),
        records_of([wide, hair], uniform_scale(0.05, "key"), classes),
    )
    facts = [record.facts() for record in (*in_pixels, *in_mm)]
    assert all(list(asdict(each)) == COLUMNS for each in facts)
    assert facts[0].width_mm is facts[0].length_mm is facts[1].width_px is facts[3].width_mm is None
    assert facts[0].width_class == ""
    assert facts[2].width_class == "0.2-0.3 mm"  # 5 px of 0.05 mm
    assert facts[3].width_class == "<= 0.2 mm"  # less than some 2 px
    assert facts[3].width_below_mm < 0.2
    assert facts[2].length_mm == pytest.approx(0.05 * facts[2].length_px, abs=0.06)


def test_the_collection_says_that_it_is_in_pixels() -> None:
    found = collection(records_of([crack(6.0)], None, width_classes("ec2")), None)
    assert "pixels" in found["crack_lightning"]["coordinates"]
    (feature,) = found["features"]
    assert feature["geometry"]["type"] == "LineString"
    assert len(feature["properties"]["widths_px"][0]) == len(feature["geometry"]["coordinates"])


def test_lengths_and_widths_follow_a_tilted_surface() -> None:
    scale = Scale(np.diag([0.2, 0.1]), 0.0, "tilted")
    assert scale.length_mm(np.array([[0.0, 0.0], [10.0, 0.0]])) == pytest.approx(2.0)
    assert scale.length_mm(np.array([[0.0, 0.0], [0.0, 10.0]])) == pytest.approx(1.0)
    along_x, along_y = scale.width_mm(np.array([10.0, 10.0]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert (along_x, along_y) == (pytest.approx(1.0), pytest.approx(2.0))
    assert scale.mm_per_px == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("given", "width", "name"),
    [
        ("ec2", 0.2, "<= 0.2 mm"),
        ("ec2", 0.21, "0.2-0.3 mm"),
        ("ec2", 0.5, "> 0.4 mm"),
        ("japan", 0.25, "> 0.2 mm"),
        ([0.5, 1.0], 0.7, "0.5-1 mm"),
    ],
)
def test_a_width_at_a_limit_belongs_to_the_narrower_class(given: object, width: float, name: str) -> None:
    assert width_classes(given).class_of(width) == name  # type: ignore[arg-type]


def test_one_limit_needs_no_list() -> None:
    assert width_classes(0.3).names == ["<= 0.3 mm", "> 0.3 mm"]


@pytest.mark.parametrize("given", ["ec3", [], [0.3, 0.2], [0.0, 0.1], [0.2, 0.2], ["wide"], None])
def test_odd_classes_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match="width_classes="):
        width_classes(given)  # type: ignore[arg-type]


def test_presets_ascend() -> None:
    assert all(list(limits) == sorted(set(limits)) for limits in PRESETS.values())
