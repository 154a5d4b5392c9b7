"""Odd photographs and bad input: what an inspection makes of them."""

import errno
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import some
from omegaconf import DictConfig
from PIL import Image
from verbs import inspect

from crack_lightning.inference.sources import check_output_folder, find_photographs
from crack_lightning.runs.inspection import photograph_files

Compose = Callable[..., DictConfig]
Rows = dict[str, dict[str, str]]


ODD = {
    "one pixel.png": lambda: Image.new("RGB", (1, 1), "grey"),
    "thin.png": lambda: Image.new("L", (60_000, 200), 90),
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


def test_a_bad_file_is_an_error_row_others_go_on(
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


def test_a_full_disk_ends_the_run_and_another_run_continues(
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
        with pytest.raises(OSError, match=r"no room is left in .*make room there, or give another folder"):
            inspected(site)
    assert (tmp_path / "inspected/photographs/wall 0.jpg/inspection.json").is_file()
    assert not (tmp_path / "inspected/report.html").exists()
    found, status = inspected(site)
    assert (set(found), status) == ({"wall 0.jpg", "wall 1.jpg"}, 0)


def test_a_photograph_far_smaller_than_a_window_needs_review(
    site: Path, inspected: Callable[..., tuple[Rows, int]], caplog: pytest.LogCaptureFixture
) -> None:
    found, status = inspected(site, "tile_px=5000", "threshold=0.999999")
    assert status == 0
    assert {row["verdict"] for row in found.values()} == {"review"}
    assert "too few to judge; check mm_per_px" in caplog.text


def test_a_report_that_no_inspection_wrote_stays(site: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/report.html").write_text("mine")
    with pytest.raises(
        ValueError, match=r"mine holds a report\.html that no inspection wrote: give another out=FOLDER"
    ):
        check_output_folder(tmp_path / "mine", [])
    assert (tmp_path / "mine/report.html").read_text() == "mine"


def test_a_link_to_a_folder_is_a_folder(site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site)
    assert len(inspected(tmp_path / "link")[0]) == 2


def test_a_window_that_enlarges_photographs_beyond_the_limit_is_refused(
    site: Path, inspected: Callable[..., tuple[Rows, int]]
) -> None:
    found, status = inspected(site, "tile_px=1", "max_megapixels=20")
    assert status == 1
    assert all("at a window of 1 pixels it would be enlarged to 6400 x 4160" in row["error"] for row in found.values())
    assert all(path in row["error"] for path, row in found.items())


def test_where_there_are_no_photographs_is_said(
    inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, site: Path
) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match="source= is empty"):
        find_photographs("")
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist: give a folder"):
        inspected(tmp_path / "nowhere")
    for source in (tmp_path / "bare", site / "*.tif"):
        with pytest.raises(FileNotFoundError, match=r"no photographs there"):
            inspected(source)


@pytest.mark.parametrize("places", [["photo.png"], ["span 1/a.png", "span 2/b.png"]], ids=str)
def test_results_beside_the_photographs_are_refused(
    composed: Compose, checkpoint: Path, tmp_path: Path, places: list[str]
) -> None:
    (tmp_path / "run/.hydra").mkdir(parents=True)  # as Hydra leaves it before anything can be said
    for place in places:
        (tmp_path / "run" / place).parent.mkdir(exist_ok=True)
        Image.new("RGB", (90, 90)).save(tmp_path / "run" / place)
    with pytest.raises(ValueError, match="holds photographs to read"):
        inspect(*composed("inspect", [f"ckpt_path={checkpoint}", f"source={tmp_path}/run"]))


@pytest.mark.parametrize("backbone", some(["mobilenet_v3_small", "resnet18"], "mobilenet_v3_small"))
def test_checkpoints_of_other_backbones_inspect_too(
    site: Path, composed: Compose, trained: Callable[..., Path], tmp_path: Path, backbone: str
) -> None:
    run = trained(f"model={backbone}", "model.weights=null", "trainer.max_epochs=1", run="trained")
    inspect(*composed("inspect", [f"ckpt_path={run}/checkpoints/best.ckpt", f"source={site}"], run="other"))
    assert (tmp_path / "other/photographs/wall 1.jpg/overlay.png").is_file()


def test_a_checkpoint_of_an_unknown_backbone_is_refused(
    site: Path, composed: Compose, checkpoint: Path, tmp_path: Path
) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    contents["crack_classifier"]["facts"]["backbone"] = "mobilenet_v22"
    torch.save(contents, tmp_path / "newer.ckpt")
    with pytest.raises(ValueError, match=r"newer.ckpt .* needs another .*v22.*did you mean mobilenet_v2"):
        inspect(*composed("inspect", [f"ckpt_path={tmp_path}/newer.ckpt", f"source={site}"]))


def test_what_nobody_looked_at_is_reported_everywhere(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = Path(shutil.copytree(site, tmp_path / "photos"))
    for name in ("a.DNG", "b.CR2", "c.cr2"):
        (folder / name).write_bytes(b"raw")
    (folder / "notes.txt").write_text("")
    (folder / "Thumbs.db").write_text("")
    frames = [Image.effect_noise((200, 130), 40) for _ in range(3)]
    frames[0].save(folder / "scan.tif", save_all=True, append_images=frames[1:])
    (folder / "wall 0.jpg").rename(folder / "wall 0.jfif")
    found, status = inspected(folder)
    assert status == 0
    assert {name for name, row in found.items() if row["verdict"] == "unread"} == {"a.DNG", "b.CR2", "c.cr2"}
    assert "a raw file of a camera is not read: save it as JPEG" in found["a.DNG"]["note"]
    assert found["scan.tif"]["note"] == "only page 1 of 3 was inspected: save the other pages as files of their own"
    assert found["scan.tif"]["verdict"] in ("cracked", "review")
    assert found["wall 0.jfif"]["verdict"] != "unread"
    page = (tmp_path / "inspected/report.html").read_text()
    for text in ("skipped: 3 photographs (2 .cr2, 1 .dng)", "1 other files are skipped: 1 .txt"):
        assert text in caplog.text
    assert "nobody looked at it" in page
    assert "page 1 of 3" in page
    assert "a.DNG" in page


def test_levels_in_doubt_are_for_review(
    inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "dim").mkdir()
    levels = np.random.default_rng(0).integers(0, 4096, (130, 200)).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "dim/x.png")
    found, _ = inspected(tmp_path / "dim", "threshold=0.999999")
    assert found["x.png"]["verdict"] == "review"
    assert "16 bits of which nothing is above a sixteenth" in found["x.png"]["note"]
    assert "x.png: 16 bits of which" in caplog.text


def test_whatever_fails_for_one_photograph_is_its_row(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = photograph_files.write_photograph

    def failing(folder: Path, *args: object, **options: object) -> None:
        if folder.name == "wall 0.jpg":
            raise RuntimeError("a step that nobody thought of")
        write(folder, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(photograph_files, "write_photograph", failing)
    found, status = inspected(site)
    assert status == 1
    assert "cannot be inspected: RuntimeError: a step that nobody thought of" in found["wall 0.jpg"]["error"]
    assert found["wall 1.jpg"]["error"] == ""
    assert (tmp_path / "inspected/report.html").is_file()


def test_a_panorama_is_shown_within_the_limits_of_jpeg(
    inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    (tmp_path / "wide").mkdir()
    Image.new("L", (70_000, 40), 90).save(tmp_path / "wide/x.png")
    found, status = inspected(tmp_path / "wide", "overlay_px=null")
    assert (status, found["x.png"]["width_px"]) == (0, "70000")
    with Image.open(tmp_path / "inspected/photographs/x.png/photograph.jpg") as shown:
        assert shown.width == 65_500


def test_a_name_of_250_letters_is_inspected(
    site: Path, inspected: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    (tmp_path / "long").mkdir()
    shutil.copy(site / "wall 0.jpg", tmp_path / "long" / ("b" * 251 + ".jpg"))
    found, status = inspected(tmp_path / "long")
    assert status == 0
    assert all((tmp_path / "inspected" / row["folder"] / "overlay.png").is_file() for row in found.values())
