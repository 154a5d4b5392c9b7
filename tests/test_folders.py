from pathlib import Path

import pytest

from crack_lightning.data.images.folders import Folder, visible_folders, walk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b/d", "a", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("b/two", "b/one", "b/.three", ".hidden/four"):
        (tmp_path / name).write_text("")
    (tmp_path / "b/d/back").symlink_to(tmp_path)
    return tmp_path


def test_folders_are_walked_sorted_hidden_ones_skipped_and_loops_reported(root: Path) -> None:
    assert list(walk(root)) == [
        Folder(root, ["a", "b"], [], [".hidden"]),
        Folder(root / "a", [], [], []),
        Folder(root / "b", ["d"], ["one", "two"], []),
        Folder(root / "b/d", ["back"], [], []),
        Folder(root / "b/d/back", [], [], [], root.resolve()),
    ]
    assert visible_folders(root) == [root / "a", root / "b"]


def test_a_caller_can_leave_folders_out(root: Path) -> None:
    seen = []
    for each in walk(root):
        seen.append(each.path.name)
        if each.path == root:
            each.folders.remove("b")
    assert seen == [root.name, "a"]


def test_a_folder_that_cannot_be_listed_is_reported(root: Path) -> None:
    told: list[OSError] = []
    assert list(walk(root / "missing", on_error=told.append)) == []
    assert told[0].filename == str(root / "missing")
    with pytest.raises(FileNotFoundError, match="missing"):
        list(walk(root / "missing"))
