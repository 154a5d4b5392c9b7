import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from crack_lightning.cache import cache
from crack_lightning.data.cache import cache_folder, entries, evict


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Three folders of a thousand bytes, used in this order."""
    for age, name in enumerate(["synthetic/a", "features/b", "features/c"]):
        (tmp_path / "kept" / name).mkdir(parents=True)
        (tmp_path / "kept" / name / "rows").write_bytes(bytes(1000))
        os.utime(tmp_path / "kept" / name, (100 + age, 100 + age))
    return tmp_path / "kept"


def test_the_cache_lies_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder(None) == Path("/xdg/crack_lightning")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder(None) == Path("/home/me/.cache/crack_lightning")


def test_the_longest_unused_features_go_first_and_the_ones_in_use_stay(kept: Path) -> None:
    assert evict(kept, "features", max_bytes=5000, keep=kept / "features/b") == []
    assert evict(kept, "features", max_bytes=1500, keep=kept / "features/b") == [kept / "features/c"]
    assert evict(kept, "features", max_bytes=0, keep=kept / "features/b") == []
    assert [entry.path.name for entry in entries(kept)] == ["a", "b"]


@pytest.mark.parametrize(
    ("clear", "left"), [("null", ["a", "b", "c"]), ("features", ["a"]), ("c", ["a", "b"]), ("all", [])]
)
def test_the_command_lists_and_clears(
    composed: Callable[..., DictConfig], kept: Path, clear: str, left: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache(composed("cache", [f"cache_dir={kept}", f"clear={clear}"]))
    assert [entry.path.name for entry in entries(kept)] == left
    assert f"{len(left)} kept, {3 - len(left)} removed" in caplog.text


def test_an_unknown_name_is_refused(composed: Callable[..., DictConfig], kept: Path) -> None:
    with pytest.raises(ValueError, match=r"clear=d: all, features, groups, synthetic, or one of a, b, c"):
        cache(composed("cache", [f"cache_dir={kept}", "clear=d"]))
