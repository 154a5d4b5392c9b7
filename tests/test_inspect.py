"""From photographs to a report, and what may be wrong with photographs."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import copied
from omegaconf import DictConfig
from PIL import Image

from crack_lightning.errors import UserError
from crack_lightning.models.map_checkpoint import load_network

Compose = Callable[..., DictConfig]
Rows = dict[str, dict[str, str]]
FILES = {
    "overlay.png",
    "photograph.jpg",
    "heat_map.png",
    "heat_map.npy",
    "regions.geojson",
    "tiles.csv",
    "thumbnail.jpg",
}


def test_the_page_does_not_grow_with_its_photographs_pixels(
    inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    # Thousands of photographs are to be in one page: no more than a small thumbnail of each.
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    for number in range(2):
        Image.fromarray(noise).save(folder / f"{number}.png")
    inspected(folder, "tile_px=200")
    page, overlay = (tmp_path / "inspected" / name for name in ("report.html", "photographs/0.png/overlay.png"))
    assert page.stat().st_size < 30_000 < overlay.stat().st_size


def test_a_report_of_other_photographs_is_not_replaced(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    before, after = copied(site, tmp_path / "before"), copied(site, tmp_path / "after")
    inspected(before)
    with pytest.raises(UserError, match=r"inspected holds the report of 2 other photographs, such as .*before/wall"):
        inspected(after)
    (before / "wall 0.jpg").rename(after / "another.jpg")  # one that is gone is no loss
    with pytest.raises(UserError, match=r"the report of 1 other photograph, such as .*before/wall 1"):
        inspected(after)
    assert len(inspected(tmp_path / "*" / "*.jpg")[0]) >= 3


def test_a_photograph_gets_all_its_files(
    site: Path, inspected: Callable[..., tuple[Rows, int]], checkpoint: Path, tmp_path: Path
) -> None:
    before = sorted(site.rglob("*"))
    found, status = inspected(site, "mm_per_px=0.5", "overlay_px=100")
    assert status == 0
    assert sorted(site.rglob("*")) == before
    for name, row in found.items():
        folder = tmp_path / "inspected" / row["folder"]
        assert {path.name for path in folder.iterdir()} == FILES | {"inspection.json"}
        with Image.open(folder / "overlay.png") as shown:
            assert shown.size == (100, 65)
        array = np.load(folder / "heat_map.npy")
        assert float(row["peak_probability"]) == pytest.approx(array.max(), abs=1e-6)
        assert (int(row["width_px"]), int(row["height_px"])) == (200, 130)
        features = json.loads((folder / "regions.geojson").read_text())["features"]
        assert len(features) == int(row["regions"])
        shares = sum(each["properties"]["area_px"] for each in features) / (200 * 130)
        assert float(row["share_above_threshold"]) == pytest.approx(shares, abs=1e-4)
        facts = json.loads((folder / "inspection.json").read_text())["heat_map"]
        assert facts["top_px"] == pytest.approx(facts["window_px"] / 2, abs=1)
        assert facts["down_px"] == facts["window_px"]  # of one cell each
        if features:
            peak = max(each["properties"]["peak_probability"] for each in features)
            assert peak == pytest.approx(array.max(), abs=1e-6)
            longest = max(each["properties"]["length_mm"] for each in features)
            first = max(features, key=lambda each: each["properties"]["area_px"])["properties"]
            told = f"1: {first['length_mm']:.0f} mm long, {first['area_mm2']:.0f} mm²"
            assert told in (tmp_path / "inspected/report.html").read_text()
            assert float(row["longest_region_mm"]) == pytest.approx(longest, abs=0.1)
        low, high = load_network(checkpoint).decision.review_band or (1.0, 0.0)
        looked_at = "review" if ((array >= low) & (array <= high)).any() else "sound"
        assert row["verdict"] == ("cracked" if features else looked_at)
        with (folder / "tiles.csv").open() as file:
            boxes = list(csv.DictReader(file))
        assert int(boxes[-1]["right_px"]) == 200
        assert name in (tmp_path / "inspected/report.html").read_text()


def test_the_threshold_decides(site: Path, inspected: Callable[..., tuple[Rows, int]]) -> None:
    low, _ = inspected(site, "threshold=0.000001", run="low")
    assert all(row["verdict"] == "cracked" and float(row["share_above_threshold"]) == 1 for row in low.values())
    high, _ = inspected(site, "threshold=1.0", run="high")
    assert all(row["verdict"] in ("sound", "review") and row["regions"] == "0" for row in high.values())


def test_a_killed_run_goes_on_with_what_is_missing(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    def written() -> dict[str, int]:
        done = (tmp_path / "inspected/photographs").glob("*/inspection.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in done}

    first, _ = inspected(site)
    before = written()
    shutil.rmtree(tmp_path / "inspected" / first["wall 0.jpg"]["folder"])
    again, _ = inspected(site)
    after = written()
    assert {name for name in after if after[name] != before[name]} == {"wall 0.jpg"}
    assert again["wall 1.jpg"] == first["wall 1.jpg"]
    inspected(site, "threshold=0.9")
    assert {name for name, time in written().items() if time != after[name]} == {"wall 0.jpg", "wall 1.jpg"}


def test_a_result_that_lost_a_file_is_made_again(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    inspected(site)
    folder = tmp_path / "inspected/photographs/wall 0.jpg"
    (folder / "overlay.png").unlink()
    (folder / "tiles.csv").write_text("")
    assert inspected(site)[1] == 0
    assert all((folder / name).stat().st_size for name in FILES)
