import logging
import shutil
from pathlib import Path

import pytest
from PIL import Image

from crack_lightning.data.samples import check_class_names, find_samples, is_presplit

NAMES = ["Negative", "Positive"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two class folders with two images each."""
    for name in NAMES:
        (tmp_path / "root" / name).mkdir(parents=True)
        for k in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / "root" / name / f"{k}.jpg")
    return tmp_path / "root"


def test_the_declared_order_of_the_classes_gives_the_labels(root: Path) -> None:
    assert [(s.path.parent.name, s.label) for s in find_samples(root, ["Positive", "Negative"])] == [
        ("Positive", 0),
        ("Positive", 0),
        ("Negative", 1),
        ("Negative", 1),
    ]


@pytest.mark.parametrize("name", ["a.JPG", "b.JPEG", "c.Png", "d.bmp", "e.TIF", "f.tiff", "g.webp", "sub/h.jpg"])
def test_images_of_every_format_and_case_are_found(root: Path, name: str) -> None:
    path = root / "Positive" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert path in [sample.path for sample in find_samples(root, NAMES)]


def test_hidden_folders_are_ignored_with_a_note(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for folder in (root / ".ipynb_checkpoints", root / "Positive" / ".ipynb_checkpoints"):
        folder.mkdir()
        shutil.copy(root / "Positive/0.jpg", folder / "0-checkpoint.jpg")
    shutil.copy(root / "Positive/0.jpg", root / "Positive/._0.jpg")
    assert len(find_samples(root, NAMES)) == 4
    assert f"ignored hidden folder {root}/.ipynb_checkpoints" in caplog.text


def test_other_files_are_ignored_with_a_note(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (root / "Positive/notes.txt").touch()
    assert len(find_samples(root, NAMES)) == 4
    assert "ignored 1 files that are no images" in caplog.text
    assert "1 .txt" in caplog.text


def test_a_folder_and_a_broken_link_with_an_image_name_are_left_for_the_checks(root: Path) -> None:
    (root / "Positive/x.jpg").mkdir()
    (root / "Positive/y.jpg").symlink_to(root / "nowhere")
    assert {s.path.name for s in find_samples(root, NAMES)} >= {"x.jpg", "y.jpg"}


def test_links_to_folders_are_followed_unless_they_loop(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(root / "Positive/0.jpg", tmp_path / "elsewhere/site.jpg")
    (root / "Positive/site1").symlink_to(tmp_path / "elsewhere")
    (root / "Positive/loop").symlink_to(root / "Positive")
    names = [s.path.relative_to(root).as_posix() for s in find_samples(root, NAMES) if s.label == 1]
    assert names == ["Positive/0.jpg", "Positive/1.jpg", "Positive/site1/site.jpg"]
    assert "loop leads back to" in caplog.text


def test_a_declared_class_without_a_folder_is_named_with_the_near_one(root: Path) -> None:
    (root / "Positive").rename(root / "positive")
    with pytest.raises(FileNotFoundError, match=r"class Positive has no folder.*did you mean positive\?"):
        find_samples(root, NAMES)


def test_an_undeclared_class_folder_is_named(root: Path) -> None:
    (root / "Unsure").mkdir()
    with pytest.raises(ValueError, match=r"Unsure is not a declared class.*data.class_names"):
        find_samples(root, NAMES)


def test_swapped_sdnet_names_are_told_how_to_be_declared(root: Path) -> None:
    (root / "Positive").rename(root / "Cracked")
    (root / "Negative").rename(root / "Non-cracked")
    with pytest.raises(FileNotFoundError, match=r"set data.class_names=\[Cracked,Non-cracked\]"):
        find_samples(root, NAMES)


def test_an_empty_class_folder_is_named(root: Path) -> None:
    shutil.rmtree(root / "Negative")
    (root / "Negative").mkdir()
    with pytest.raises(FileNotFoundError, match=r"Negative has no images \(.jpg"):
        find_samples(root, NAMES)


def test_a_root_that_is_missing_a_file_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data.root=.*nowhere does not exist"):
        is_presplit(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"data.root=.*file is a file"):
        is_presplit(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty has no class folders: expected Negative and Positive"):
        find_samples(tmp_path / "empty", NAMES)


def test_part_of_train_val_test_is_refused(root: Path) -> None:
    assert not is_presplit(root)
    (root / "train").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has train/ but not val/, test/"):
        is_presplit(root)
    (root / "val").mkdir()
    (root / "test").mkdir()
    with pytest.raises(ValueError, match=r"has Negative, Positive beside train/ val/ test/"):
        is_presplit(root)
    for name in NAMES:
        shutil.rmtree(root / name)
    assert is_presplit(root)


@pytest.mark.parametrize("names", [["Positive"], ["Positive", "Positive"], ["a", "b", "Positive"], []])
def test_two_different_classes_are_needed(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"data.class_names=.*two different classes"):
        check_class_names(names, "Positive")


def test_the_positive_class_must_be_declared() -> None:
    with pytest.raises(ValueError, match=r"data.positive_class=Cracked is not one of"):
        check_class_names(NAMES, "Cracked")
