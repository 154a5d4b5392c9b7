import logging
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from crack_lightning.data.options import check_class_names
from crack_lightning.data.samples.listing import find_samples
from crack_lightning.data.samples.presplit import split_folders

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
    assert "ignored 1 files that are not images" in caplog.text
    assert "1 .txt" in caplog.text


def test_folders_and_broken_links_with_image_names_reach_the_checks(root: Path) -> None:
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


def test_a_declared_class_without_folder_is_named_with_a_suggestion(root: Path) -> None:
    (root / "Positive").rename(root / "positive")
    with pytest.raises(FileNotFoundError, match=r"class Positive has no folder.*did you mean positive\?"):
        find_samples(root, NAMES)


def test_an_undeclared_class_folder_is_named(root: Path) -> None:
    (root / "Unsure").mkdir()
    with pytest.raises(ValueError, match=r"Unsure is not a declared class.*data.class_names"):
        find_samples(root, NAMES)


def test_swapped_sdnet_names_get_a_hint_how_to_declare_them(root: Path) -> None:
    (root / "Positive").rename(root / "Cracked")
    (root / "Negative").rename(root / "Non-cracked")
    with pytest.raises(
        FileNotFoundError, match=r"set 'data.class_names=\[Non-cracked,Cracked\]'.* data.positive_class=Cracked"
    ):
        find_samples(root, NAMES)


def test_an_empty_class_folder_is_named(root: Path) -> None:
    shutil.rmtree(root / "Negative")
    (root / "Negative").mkdir()
    with pytest.raises(FileNotFoundError, match=r"Negative has no images \(.jpg"):
        find_samples(root, NAMES)


def test_a_missing_or_empty_root_or_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data.root=.*nowhere does not exist"):
        split_folders(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"data.root=.*file is a file"):
        split_folders(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty has no class folders: expected Negative and Positive"):
        find_samples(tmp_path / "empty", NAMES)


def test_part_of_train_val_test_is_refused(root: Path) -> None:
    assert not split_folders(root)
    (root / "train").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has train/ but not val/, test/"):
        split_folders(root)
    (root / "val").mkdir()
    (root / "test").mkdir()
    with pytest.raises(ValueError, match=r"has Negative, Positive beside train/ val/ test/"):
        split_folders(root)
    for name in NAMES:
        shutil.rmtree(root / name)
    assert split_folders(root)


@pytest.mark.parametrize("names", [["Positive"], ["Positive", "Positive"], ["a", "b", "Positive"], []])
def test_two_different_classes_are_needed(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"data.class_names=.*two different classes"):
        check_class_names(names, "Positive")


def test_the_positive_class_must_be_declared() -> None:
    with pytest.raises(ValueError, match=r"data.positive_class=Cracked is not one of"):
        check_class_names(NAMES, "Cracked")


CONVENTIONS = ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_what_is_no_data_by_convention_is_no_class(root: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for folder in (root / name, root / "Positive" / name):
        folder.mkdir()
        shutil.copy(root / "Positive/0.jpg", folder / "thumb.jpg")
    shutil.copy(root / "Positive/0.jpg", root / "Positive/Thumbs.db")
    assert len(find_samples(root, NAMES)) == 4
    assert not split_folders(root)
    assert f"ignored hidden folder {root}/{name}" in caplog.text


@pytest.mark.parametrize("below", ["Concrete Crack Images", "a/b", "data"])
def test_classes_that_lie_deeper_are_found_and_named(root: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "zip" / below).parent.mkdir(parents=True)
    root.rename(tmp_path / "zip" / below)
    with pytest.raises(FileNotFoundError, match=rf"they are in {tmp_path}/zip/{below}: give '?data.root="):
        find_samples(tmp_path / "zip", NAMES)
    with pytest.raises(FileNotFoundError, match=rf"they are in {tmp_path}/zip/{below}: give '?data.root="):
        find_samples(tmp_path / "zip" / below / "Positive", NAMES)


@pytest.mark.parametrize(
    "names", [("Train", "Valid", "Test"), ("training", "validation", "testing"), ("train", "val", "TEST")]
)
def test_splits_are_splits_whatever_they_are_called(root: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        shutil.copytree(root, tmp_path / "set" / name)
    folders = split_folders(tmp_path / "set")
    assert {split: folder.name for split, folder in folders.items()} == dict(
        zip(("train", "val", "test"), names, strict=True)
    )
    shutil.copytree(root, tmp_path / "set/dev/Negative")
    with pytest.raises(ValueError, match="has dev beside"):
        split_folders(tmp_path / "set")


def test_two_folders_of_one_split_are_refused(root: Path, tmp_path: Path) -> None:
    for name in ("train", "val", "valid", "test"):
        shutil.copytree(root, tmp_path / "set" / name)
    with pytest.raises(ValueError, match=r"val and .*valid are both val"):
        split_folders(tmp_path / "set")


def test_a_class_folder_of_a_mac_is_the_declared_one(root: Path) -> None:
    (root / "Positive").rename(root / unicodedata.normalize("NFD", "Größe"))
    assert len(find_samples(root, ["Negative", unicodedata.normalize("NFC", "Größe")])) == 4
