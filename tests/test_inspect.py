"""From photographs to a report, and what may be wrong with photographs."""

import csv
import errno
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image

from crack_lightning import photograph_files
from crack_lightning.inference.overlay import bar_length_mm
from crack_lightning.inspect import inspect
from crack_lightning.models.checkpoint import load_classifier

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


@pytest.fixture(scope="module")
def site(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs. Not to be changed."""
    folder = tmp_path_factory.mktemp("site")
    for number, path in enumerate(sorted(surfaces.rglob("*.jpg"))[:2]):
        Image.open(path).resize((200, 130)).save(folder / f"wall {number}.jpg")
    return folder


@pytest.fixture
def inspected(composed: Compose, checkpoint: Path, tmp_path: Path) -> Callable[..., tuple[Rows, int]]:
    """Inspect: the rows of inspection.csv by name of the file, and the exit status."""

    def run(source: Path, *overrides: str, run: str = "inspected") -> tuple[Rows, int]:
        quoted = str(source).replace("'", r"\'")
        options = [f"ckpt_path={checkpoint}", f"source='{quoted}'", "engine=eager", *overrides]
        status = 0
        try:
            inspect(composed("inspect", options, run=run))
        except SystemExit as end:
            status = int(end.code or 0)
        with (tmp_path / run / "inspection.csv").open(newline="", encoding="utf-8") as file:
            return {Path(row["path"]).name: row for row in csv.DictReader(file)}, status

    return run


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
        if features:
            longest = max(each["properties"]["length_mm"] for each in features)
            assert float(row["largest_region_mm"]) == pytest.approx(longest, abs=0.1)
        low, high = load_classifier(checkpoint).review_band or (1.0, 0.0)
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


def test_a_run_that_was_killed_goes_on_with_what_is_missing(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = inspected(site)
    shutil.rmtree(tmp_path / "inspected" / first["wall 0.jpg"]["folder"])
    done: list[str] = []
    write = photograph_files.write_photograph

    def told(folder: Path, *args: object, **options: object) -> None:
        done.append(folder.name)
        write(folder, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(photograph_files, "write_photograph", told)
    again, _ = inspected(site)
    assert done == ["wall 0.jpg"]
    assert again["wall 1.jpg"] == first["wall 1.jpg"]
    inspected(site, "threshold=0.9")
    assert done == ["wall 0.jpg", "wall 0.jpg", "wall 1.jpg"]


ODD = {
    "one pixel.png": lambda: Image.new("RGB", (1, 1), "grey"),
    "thin.png": lambda: Image.new("L", (3000, 10), 90),
    "one colour.jpg": lambda: Image.new("RGB", (90, 90), (120, 120, 120)),
    "alpha.png": lambda: Image.new("RGBA", (90, 60), (10, 20, 30, 100)),
    "sixteen.png": lambda: Image.fromarray(np.full((60, 90), 40_000, np.uint16)),
    "Käse 割れ目 \"quoted\" & 'more' <b>.png": lambda: Image.new("RGB", (70, 70), "grey"),
    "100%#?.png": lambda: Image.new("RGB", (70, 70), "grey"),
}


class Sources(HTMLParser):
    """Paths of pictures that a report names."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.paths += [str(value) for name, value in attrs if name in ("data-photograph", "data-overlay")]


def test_odd_photographs_and_names_are_inspected_and_linked(
    inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    from urllib.parse import unquote

    folder = tmp_path / "odd"
    folder.mkdir()
    for name, make in ODD.items():
        make().save(folder / name)
    found, status = inspected(folder)
    assert status == 0
    assert set(found) == set(ODD)
    page = (tmp_path / "inspected/report.html").read_text()
    assert "<b>" not in page
    parser = Sources()
    parser.feed(page)
    assert len(parser.paths) == 2 * len(ODD)
    assert all((tmp_path / "inspected" / unquote(path)).is_file() for path in parser.paths)


def test_exif_is_respected(inspected: Callable[..., tuple[Rows, int]], tmp_path: Path) -> None:
    (tmp_path / "turned").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100), "grey").save(tmp_path / "turned/photo.jpg", exif=exif)
    found, _ = inspected(tmp_path / "turned")
    assert (found["photo.jpg"]["width_px"], found["photo.jpg"]["height_px"]) == ("100", "200")


def test_a_bad_file_is_a_row_with_its_error_and_the_rest_goes_on(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(site, tmp_path / "photos"))
    (folder / "bad.jpg").write_text("no image")
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere")
    Image.new("L", (4000, 1000)).save(folder / "large.png")
    found, status = inspected(folder, "max_megapixels=1")
    assert status == 1
    assert "not an image" in found["bad.jpg"]["error"]
    assert found["gone.jpg"]["error"] == f"{folder}/gone.jpg cannot be read: No such file or directory"
    assert "4000000 pixels" in found["large.png"]["error"]
    assert "max_megapixels" in found["large.png"]["error"]
    assert [found[name]["verdict"] for name in ("bad.jpg", "large.png")] == ["error", "error"]
    assert found["wall 0.jpg"]["error"] == ""


def test_equal_names_in_two_folders_stay_apart(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    for name in ("north", "south"):
        shutil.copytree(site, tmp_path / "bridge" / name)
    inspected(tmp_path / "bridge")
    done = sorted((tmp_path / "inspected/photographs").glob("*/*/inspection.json"))
    assert [path.parent.relative_to(tmp_path / "inspected/photographs").as_posix() for path in done] == [
        f"{side}/wall {number}.jpg" for side in ("north", "south") for number in (0, 1)
    ]


def test_results_within_the_source_are_not_taken_for_photographs(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    source = Path(shutil.copytree(site, tmp_path / "all"))
    (source / "outputs/.hydra").mkdir(parents=True)
    Image.new("RGB", (90, 90)).save(source / "outputs/overlay.png")
    found, _ = inspected(source)
    assert set(found) == {"wall 0.jpg", "wall 1.jpg"}


def test_a_full_disk_ends_the_run_with_its_reason_and_the_next_one_goes_on(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "wall 1.jpg" in path.parts:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    # No disk can be filled here without harm: the system's refusal is played.
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left on device"):
            inspected(site)
    assert (tmp_path / "inspected/photographs/wall 0.jpg/inspection.json").is_file()
    assert not (tmp_path / "inspected/report.html").exists()
    found, status = inspected(site)
    assert (set(found), status) == ({"wall 0.jpg", "wall 1.jpg"}, 0)


def test_a_result_of_which_a_file_is_lost_is_made_again(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    inspected(site)
    folder = tmp_path / "inspected/photographs/wall 0.jpg"
    (folder / "overlay.png").unlink()
    (folder / "tiles.csv").write_text("")
    assert inspected(site)[1] == 0
    assert all((folder / name).stat().st_size for name in FILES)


def test_a_photograph_far_smaller_than_a_window_is_not_called_sound(
    site: Path, inspected: Callable[..., tuple[Rows, int]], caplog: pytest.LogCaptureFixture
) -> None:
    found, status = inspected(site, "tile_px=5000", "threshold=0.999999")
    assert status == 0
    assert {row["verdict"] for row in found.values()} == {"review"}
    assert "too few to judge; check mm_per_px" in caplog.text


def test_a_link_to_a_folder_is_a_folder(site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site)
    assert len(inspected(tmp_path / "link")[0]) == 2


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["mm_per_px=0"], r"mm_per_px=0.0: above 0"),
        (["mm_per_px=-1"], r"mm_per_px=-1.0: above 0"),
        (["scales=[]"], r"scales=\[\]"),
        (["threshold=2"], r"threshold=2.0"),
        (["engine=steam"], r"engine=steam"),
        (["memory_mb=0"], r"memory_mb=0.0"),
        (["windows=doors"], r"windows=doors: one of auto, map, crops"),
    ],
)
def test_options_out_of_range_are_refused(
    site: Path, inspected: Callable[..., tuple[Rows, int]], overrides: list[str], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        inspected(site, *overrides)


def test_where_there_are_no_photographs_is_said(
    inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, site: Path
) -> None:
    (tmp_path / "bare").mkdir()
    for source in (tmp_path / "bare", tmp_path / "nowhere", site / "*.tif"):
        with pytest.raises(FileNotFoundError, match=r"no photographs there"):
            inspected(source)


def test_results_beside_the_photographs_are_refused(
    site: Path, composed: Compose, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    Image.new("RGB", (90, 90)).save(tmp_path / "run/photo.png")
    with pytest.raises(ValueError, match="holds photographs to be looked at"):
        inspect(composed("inspect", [f"ckpt_path={checkpoint}", f"source={tmp_path}/run"]))


def test_a_scale_bar_is_a_round_length() -> None:
    assert [bar_length_mm(width) for width in (100, 240, 1000, 33_000)] == [20, 20, 200, 5000]
