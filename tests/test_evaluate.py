import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import copied, metrics, rows
from omegaconf import DictConfig
from PIL import Image
from verbs import evaluate

from crack_lightning.data.options import JudgedDataOptions
from crack_lightning.models.decision import Decision
from crack_lightning.runs.judging.evaluation_images import find_images

Compose = Callable[..., DictConfig]


@pytest.fixture
def run_folder(one_epoch: Path, tmp_path: Path) -> Path:
    return copied(one_epoch, tmp_path / "run")


def judge(composed: Compose, run_folder: Path, *overrides: str) -> Path:
    checkpoint = f"ckpt_path={run_folder}/checkpoints/best.ckpt"
    evaluate(*composed("evaluate", [checkpoint, "data.num_workers=0", "engine=eager", *overrides], run="judged"))
    return run_folder.parent / "judged"


def test_evaluate_repeats_the_test_from_checkpoint_and_folder_alone(
    composed: Compose, run_folder: Path, surfaces: Path, tmp_path: Path
) -> None:
    split = run_folder / "split.csv"
    moved = Path(shutil.move(run_folder / "checkpoints", tmp_path / "elsewhere")) / "best.ckpt"
    cfg = composed(
        "evaluate",
        [f"ckpt_path={moved}", f"data.root={surfaces}", f"data.split_csv={split}", "data.split=test", "engine=eager"],
        run="judged",
    )
    found = evaluate(*cfg)
    expected = {name: value for name, value in metrics(run_folder).items() if name.startswith("test/")}
    assert found == pytest.approx(expected, abs=1e-6)
    assert json.loads((tmp_path / "judged/metrics.json").read_text()) == found
    assert rows(tmp_path / "judged/predictions.csv") == rows(run_folder / "predictions.csv")
    assert {path.stem for path in (tmp_path / "judged/figures").glob("*.png")} == {
        "confusion_matrix",
        "roc",
        "precision_recall",
        "predictions",
        "worst_errors",
        "reliability",
    }


@pytest.mark.usefixtures("no_figures")
def test_evaluate_finds_the_test_of_a_split_by_groups_again(
    composed: Compose, trained: Callable[..., Path], surfaces: Path, tmp_path: Path
) -> None:
    run = trained("trainer.max_epochs=1", 'data.group_by="([0-9])[.]jpg$"', "data.fractions=[0.4,0.3,0.3]")
    root = shutil.copytree(surfaces, tmp_path / "moved")
    judged = judge(composed, run, f"data.root={root}", f"data.split_csv={run}/split.csv", "data.split=test")
    expected = {name: value for name, value in metrics(run).items() if name.startswith("test/")}
    assert metrics(judged) == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("no_figures")
def test_all_images_are_judged_with_a_warning_about_trained_ones(
    composed: Compose, run_folder: Path, surfaces: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judged = judge(composed, run_folder, f"data.root={surfaces}")
    assert len(rows(judged / "predictions.csv")) == 40
    assert "its metrics here are too good" in caplog.text


@pytest.mark.usefixtures("no_figures")
def test_of_train_val_test_the_test_folder_is_judged(
    composed: Compose, run_folder: Path, surfaces: Path, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        shutil.copytree(surfaces, tmp_path / "photos" / split)
    judged = judge(composed, run_folder, f"data.root={tmp_path}/photos")
    assert {Path(row["path"]).parts[-3] for row in rows(judged / "predictions.csv")} == {"test"}


@pytest.mark.usefixtures("no_figures")
def test_unreadable_images_are_raised_or_skipped(
    composed: Compose, run_folder: Path, surfaces: Path, tmp_path: Path
) -> None:
    shutil.copytree(surfaces, tmp_path / "photos")
    (tmp_path / "photos/Positive/zero.jpg").touch()
    with pytest.raises(ValueError, match=r"zero.jpg: empty"):
        judge(composed, run_folder, f"data.root={tmp_path}/photos")
    judged = judge(composed, run_folder, f"data.root={tmp_path}/photos", "data.on_error=skip")
    assert len(rows(judged / "predictions.csv")) == 40
    assert len(rows(judged / "unreadable.csv")) == 1


def test_a_split_whose_images_are_gone_is_refused(
    composed: Compose, run_folder: Path, surfaces: Path, tmp_path: Path
) -> None:
    shutil.copytree(surfaces, tmp_path / "photos")
    lost = next(row["group"] for row in rows(run_folder / "split.csv") if row["split"] == "test")
    (tmp_path / "photos" / lost).unlink()
    split = ["data.split=test", f"data.split_csv={run_folder}/split.csv"]
    with pytest.raises(FileNotFoundError, match=rf"1 of 6 images of the test split are not in .*such as {lost}"):
        judge(composed, run_folder, f"data.root={tmp_path}/photos", *split)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["data.split=test"], "belong together"),
        (["device=abacus"], "device=abacus is not available"),
    ],
)
def test_options_out_of_range_are_refused(
    composed: Compose, run_folder: Path, surfaces: Path, overrides: list[str], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        judge(composed, run_folder, f"data.root={surfaces}", *overrides)


def test_other_class_folders_than_the_checkpoint_knows_are_refused(
    composed: Compose, run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos/bad").mkdir(parents=True)
    (tmp_path / "photos/good").mkdir()
    with pytest.raises(FileNotFoundError, match="class Negative has no folder"):
        judge(composed, run_folder, f"data.root={tmp_path}/photos")


def test_photographs_of_a_split_set_are_groups_too(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for name in ("UD", "CD"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(4):
                Image.new("L", (32, 32), 40 * number).save(tmp_path / split / name / f"700{number % 2}-{number}.jpg")
    decision = Decision(("Negative", "Positive"), "Positive")
    for group_by in (None, "photograph"):
        data = JudgedDataOptions(root=str(tmp_path), group_by=group_by)
        assert len({each.group for each in find_images(tmp_path, data, decision, tmp_path / "run", split=None)}) == 2
