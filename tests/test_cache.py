import logging
import os
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest
from omegaconf import DictConfig
from verbs import cache

from crack_lightning.system.cache import MARK_FILE, CacheEntry, cache_entries, cache_folder, evict, remove_entries


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Three folders of a thousand bytes, used in this order."""
    for age, name in enumerate(["synthetic/a", "features/b", "features/c"]):
        (tmp_path / "kept" / name).mkdir(parents=True)
        (tmp_path / "kept" / name / "rows").write_bytes(bytes(1000))
        (tmp_path / "kept" / name / MARK_FILE).touch()
        os.utime(tmp_path / "kept" / name, (100 + age, 100 + age))
    return tmp_path / "kept"


def test_the_cache_lies_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder(None) == Path("/xdg/crack_lightning")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder(None) == Path("/home/me/.cache/crack_lightning")


def test_the_longest_unused_features_go_first_and_used_ones_stay(kept: Path) -> None:
    assert evict(kept, "features", max_bytes=5000, keep=kept / "features/b") == []
    assert evict(kept, "features", max_bytes=1500, keep=kept / "features/b") == [kept / "features/c"]
    assert evict(kept, "features", max_bytes=0, keep=kept / "features/b") == []
    assert [entry.path.name for entry in cache_entries(kept)] == ["a", "b"]


@pytest.mark.parametrize(
    ("clear", "left"), [("null", ["a", "b", "c"]), ("features", ["a"]), ("c", ["a", "b"]), ("all", [])]
)
def test_the_command_lists_and_clears(
    composed: Callable[..., DictConfig], kept: Path, clear: str, left: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache(*composed("cache", [f"cache_dir={kept}", f"clear={clear}"]))
    assert [entry.path.name for entry in cache_entries(kept)] == left
    assert f"{len(left)} kept, {3 - len(left)} removed" in caplog.text


def test_an_unknown_name_is_refused(composed: Callable[..., DictConfig], kept: Path) -> None:
    with pytest.raises(
        ValueError, match=r"clear=d: must be all, features, groups, synthetic, lessons, or one of a, b, c"
    ):
        cache(*composed("cache", [f"cache_dir={kept}", "clear=d"]))


def test_folders_of_somebody_else_are_neither_listed_nor_removed(
    composed: Callable[..., DictConfig], kept: Path, tmp_path: Path
) -> None:
    strangers = [kept / "features/precious", kept / "groups/theirs", kept / "features/link"]
    for folder in strangers[:2]:
        folder.mkdir(parents=True)
        (folder / "results.txt").write_text("years of work")
    strangers[2].symlink_to(kept / "synthetic/a")
    evict(kept, "features", max_bytes=0, keep=kept / "features/b")
    for kind in ("features", "groups", "all"):
        cache(*composed("cache", [f"cache_dir={kept}", f"clear={kind}"]))
    assert all(folder.is_symlink() or (folder / "results.txt").is_file() for folder in strangers)
    with pytest.raises(ValueError, match=r"precious does not belong to this cache: it is not removed"):
        remove_entries([CacheEntry(strangers[0], "features", 1, 0.0)])


def test_a_complete_cache_that_cannot_be_written_to_is_enough(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = ["data=synthetic", "data.surfaces.count=24", "data.surfaces.size_px=32", "data.root=null"]
    trained(*options, "trainer.max_epochs=1", f"cache_dir={tmp_path}/kept", run="first")
    for path in [*(tmp_path / "kept").rglob("*"), tmp_path / "kept"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.access(tmp_path / "kept", os.W_OK):  # as root nothing is read-only: the system's refusal is played

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        for name in ("utime", "mkdir"):
            monkeypatch.setattr(os, name, _unless_within(getattr(os, name), tmp_path / "kept", refused))
        monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    trained(*options, "trainer.max_epochs=1", f"cache_dir={tmp_path}/kept", run="second")


def _unless_within(call: Callable[..., None], folder: Path, refused: Callable[..., None]) -> Callable[..., None]:
    def either(path: str | Path, *rest: object, **options: object) -> None:
        within = Path(path).is_relative_to(folder) and not Path(path).is_dir()
        (refused if within else call)(path, *rest, **options)

    return either


def test_a_user_without_a_home_has_their_own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder(None).name == f"crack_lightning-{os.getuid()}"
