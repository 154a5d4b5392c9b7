import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_lightning.features import store as feature_store
from crack_lightning.features.store import FeatureStore, PartWriter, keys_of

ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)
KEYS = keys_of([f"file {k}" for k in range(10)])


def opened(folder: Path, **changes: Any) -> FeatureStore:
    folder.mkdir(exist_ok=True)
    return FeatureStore(folder, **{"channels": 4, "dtype": "float32", "made_by": {"backbone": "b"}} | changes)


def filled(folder: Path, *, rows: slice = slice(None)) -> FeatureStore:
    store = opened(folder)
    with PartWriter(store) as writer:
        writer.append(KEYS[rows], ROWS[rows])
    store.reload()
    return store


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0.0), ("float16", 0.02)])
def test_what_is_written_is_found_in_any_order(tmp_path: Path, dtype: str, tolerance: float) -> None:
    store = opened(tmp_path / "s", dtype=dtype)
    with PartWriter(store) as writer:
        writer.append(KEYS[:6], ROWS[:6])
        writer.append(KEYS[6:], ROWS[6:])
    store = opened(tmp_path / "s", dtype=dtype)
    order = np.array([7, 0, 9, 7])
    place, missing = store.find(KEYS[order])
    assert not missing.any()
    np.testing.assert_allclose(store.rows(place), ROWS[order], atol=tolerance)


def test_what_was_never_written_is_missing(tmp_path: Path) -> None:
    assert opened(tmp_path / "s").find(KEYS)[1].all()
    store = filled(tmp_path / "s", rows=slice(0, 4))
    assert store.find(KEYS)[1].tolist() == [False] * 4 + [True] * 6


def test_parts_of_several_builds_are_one_store(tmp_path: Path) -> None:
    filled(tmp_path / "s", rows=slice(0, 4))
    store = filled(tmp_path / "s", rows=slice(4, 10))
    place, missing = store.find(KEYS)
    assert not missing.any()
    assert (store.rows(place) == ROWS).all()


@pytest.mark.parametrize("suffix", ["rows", "keys"])
@pytest.mark.parametrize("cut", [1, 17, 50])
def test_of_a_truncated_part_the_whole_rows_are_kept(tmp_path: Path, suffix: str, cut: int) -> None:
    filled(tmp_path / "s")
    (part,) = (tmp_path / "s").glob(f"*.{suffix}")
    part.write_bytes(part.read_bytes()[:-cut])
    store = opened(tmp_path / "s")
    lost = -(-cut // (16 if suffix == "rows" else 12))
    place, missing = store.find(KEYS)
    assert missing.tolist() == [False] * (10 - lost) + [True] * lost
    assert (store.rows(place)[: 10 - lost] == ROWS[: 10 - lost]).all()


def test_a_later_row_replaces_a_damaged_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "s")
    (part,) = (tmp_path / "s").glob("*.rows")
    data = bytearray(part.read_bytes())
    data[3 * 16 + 5] ^= 1
    part.write_bytes(data)
    store = opened(tmp_path / "s")
    assert np.flatnonzero(store.find(KEYS)[1]).tolist() == [3]
    assert "1 damaged rows" in caplog.text
    store = filled(tmp_path / "s", rows=slice(3, 4))
    place, missing = store.find(KEYS)
    assert not missing.any()
    assert (store.rows(place) == ROWS).all()


@pytest.mark.parametrize(
    "changes", [{"channels": 5}, {"dtype": "float16"}, {"made_by": {"backbone": "another"}}, {"version": 0}]
)
def test_a_store_made_in_another_way_is_named_and_rebuilt(
    tmp_path: Path, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path / "s")
    if "version" in changes:
        meta = json.loads((tmp_path / "s/store.json").read_text())
        (tmp_path / "s/store.json").write_text(json.dumps(meta | changes))
        changes = {}
    store = opened(tmp_path / "s", **changes)
    assert len(store) == 0
    assert f"{tmp_path}/s was made by another version" in caplog.text


def test_a_store_with_a_foreign_description_is_no_store(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    (tmp_path / "s/store.json").write_bytes(b"\x00\x01")
    assert len(opened(tmp_path / "s")) == 0


def test_a_full_disk_is_reported_before_and_during_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path / "s", rows=slice(0, 4))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100 * 2**20))
    store.check_space(1000)
    with pytest.raises(OSError, match=r"the disk is full: 67 MiB are needed.*100 MiB are free.*cache_dir=FOLDER"):
        store.check_space(2_500_000)

    with PartWriter(store) as writer:

        class Full:
            def write(self, data: bytes) -> int:
                raise OSError(28, "No space left on device")

            def close(self) -> None:
                pass

        writer._rows.close()
        writer._rows = Full()  # type: ignore[assignment]
        with pytest.raises(OSError, match="the disk is full"):
            writer.append(KEYS[4:], ROWS[4:])
    store.reload()
    assert store.find(KEYS)[1].tolist() == [False] * 4 + [True] * 6


def test_rows_are_the_same_after_their_memory_was_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "RESIDENT_BYTES", 0)
    store = filled(tmp_path / "s")
    place, _ = store.find(KEYS)
    for _ in range(3):
        assert (store.rows(place) == ROWS).all()


def test_truncated_parts_are_reported_once_and_foreign_ones_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path / "s")
    (part,) = (tmp_path / "s").glob("*.rows")
    part.write_bytes(part.read_bytes()[:-1])
    (tmp_path / "s/foreign.rows").write_bytes(b"junk")
    opened(tmp_path / "s")
    assert f"{part} is truncated" in caplog.text
    assert "foreign.rows is not part of this store: ignored" in caplog.text
    caplog.clear()
    opened(tmp_path / "s")
    assert "is truncated" not in caplog.text
