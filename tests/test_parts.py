"""Features and inspections in parts, each by a run of its own, and what puts them together."""

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import metrics, rows
from filelock import FileLock
from PIL import Image
from torchvision.models import mobilenet_v2
from verbs import inspect

from crack_lightning.errors import UserError
from crack_lightning.features.store import RECORD, FeatureStore, PartWriter, keys_of

Run = Callable[..., Path]
VIEWS = 28 + 6 + 6  # of two epochs, which share one view of each picture


@pytest.fixture
def part(trained: Run, tmp_path: Path) -> Run:
    """Compute a part of the features, or with shard=None train on all parts; the folder of the store, one a `cache`."""

    def run(shard: int | None, shards: int, *overrides: str, cache: str = "cache") -> Path:
        given = [f"features.shards={shards}", f"cache_dir={tmp_path / cache}"]
        name = "all" if shard is None else f"{shard}"
        trained(*given, *([] if shard is None else [f"features.shard={shard}"]), *overrides, run=f"{name} {cache}")
        (store,) = (tmp_path / cache / "features").iterdir()
        return Path(store)

    return run


def stored(folder: Path) -> int:
    """How many rows a store has."""
    return sum(path.stat().st_size for path in folder.glob("*.keys")) // RECORD.itemsize


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*")) if path.suffix in (".rows", ".keys")}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["eager", "folded"])
def test_a_store_does_not_depend_on_its_parts(part: Run, engine: str) -> None:
    option, found = f"features.engine={engine}", []
    for shards in (1, 2, 4):
        for shard in reversed(range(shards)):
            store = part(shard, shards, option, cache=f"{shards}")
        assert stored(store) == VIEWS
        part(None, shards, option, cache=f"{shards}")
        found.append(contents(store))
    assert found[0].keys() == {"merged.rows", "merged.keys"}
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_parts_train_as_a_whole_run_does(part: Run, trained: Run, tmp_path: Path) -> None:
    backbone = "model=resnet18"  # whose features do not vanish with random weights
    for shard in range(4):
        part(shard, 4, backbone)
    expected = metrics(trained(backbone, run="whole")) | {"fit_seconds": 0.0}
    part(None, 4, backbone)
    # A batch of another size may change the last bits of a convolution.
    assert metrics(tmp_path / "all cache") | {"fit_seconds": 0.0} == pytest.approx(expected, abs=1e-5)


def test_parts_divide_the_views_and_train_nothing(part: Run, tmp_path: Path) -> None:
    stores = [part(shard, 2, cache=f"{shard}") for shard in (0, 1)]
    keys = [np.concatenate([np.fromfile(path, RECORD)["key"] for path in store.glob("*.keys")]) for store in stores]
    assert [set((each % 2).tolist()) for each in keys] == [{0}, {1}]
    assert len(np.unique(np.concatenate(keys))) == VIEWS
    assert not [*tmp_path.rglob("metrics.json"), *tmp_path.rglob("*.ckpt")]


def test_parts_that_lack_views_are_named(part: Run, tmp_path: Path) -> None:
    lacking = VIEWS - stored(part(0, 2))
    words = rf"parts 1 \({lacking}\) lack views; compute them with -m features.shard=1 features.shards=2"
    with pytest.raises(UserError, match=rf"^features.shards=2: {words}"):
        part(None, 2)
    assert not list(tmp_path.rglob("merged.*"))


@pytest.mark.parametrize("shard", [0, None])
def test_a_part_that_is_being_computed_is_named(part: Run, shard: int | None) -> None:
    store = part(0, 1)
    words = rf"^another run computes part 0 of 1 in {store}: wait for it, or end it first$"
    with FileLock(store / "shard-00000-of-00001.lock"), pytest.raises(UserError, match=words):
        part(shard, 1)


def test_a_killed_part_is_completed(part: Run, caplog: pytest.LogCaptureFixture) -> None:
    part(0, 1, cache="a")
    killed = part(0, 1, cache="b")
    (keys,) = killed.glob("*.keys")
    keys.write_bytes(keys.read_bytes()[: VIEWS // 2 * RECORD.itemsize])
    caplog.set_level("INFO")
    part(0, 1, cache="b")
    assert f"part 0 of 1: {VIEWS - VIEWS // 2} views to compute, in {killed}" in caplog.messages
    assert stored(killed) == VIEWS
    assert contents(part(None, 1, cache="b")) == contents(part(None, 1, cache="a"))


def test_a_part_that_is_there_is_not_computed_again(part: Run, caplog: pytest.LogCaptureFixture) -> None:
    store = part(0, 1)
    before = contents(store)
    caplog.set_level("INFO")
    assert contents(part(0, 1)) == before
    assert f"part 0 of 1: 0 views to compute, in {store}" in caplog.messages
    after = contents(part(None, 1))
    assert contents(part(None, 1)) == after


@pytest.mark.slow
def test_rows_of_other_weights_are_not_taken(part: Run, tmp_path: Path) -> None:
    # Whoever collects the parts of several computers in one folder may well mix them up.
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(mobilenet_v2().state_dict(), tmp_path / f"{seed}.pth")
    own, other = ([f"model.weights={tmp_path}/{seed}.pth"] for seed in (0, 1))
    part(0, 1, *own, cache="clean")
    mixed, foreign = part(0, 1, *own, cache="mixed"), part(0, 1, *other, cache="other")
    for path in [*mixed.glob("*.rows"), *mixed.glob("*.keys")]:
        path.unlink()
    for path in [*foreign.glob("*.rows"), *foreign.glob("*.keys")]:
        shutil.copy(path, mixed)
    part(0, 1, *own, cache="mixed")
    assert contents(part(None, 1, *own, cache="mixed")) == contents(part(None, 1, *own, cache="clean"))


def test_parts_that_grow_meanwhile_lose_nothing(tmp_path: Path) -> None:
    # Eight jobs write their parts while another one opens the folder.
    store, keys = FeatureStore(tmp_path, channels=4, dtype="float32", made_by={}), keys_of(map(str, range(20_000)))
    with ExitStack() as opened:
        parts = [opened.enter_context(PartWriter(store)) for _ in range(8)]
        work = [partial(parts[k % 8].append, keys[[k]], np.ones((1, 4))) for k in range(len(keys))]
        writing = threading.Thread(target=lambda: [append() for append in work])
        writing.start()
        while writing.is_alive():
            store.reload()
    store.reload()
    assert store.find(keys)[1].sum() == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["shard=2", "shards=2"], "shard=2: must be from 0 to 1, since {group}shards=2"),
        (["shard=-1", "shards=2"], "shard=-1: must be from 0 to 1, since {group}shards=2"),
        (["shard=0"], "shard=0: give the number of parts too, as {group}shards=N"),
        (["shards=0"], "shards=0: must be from 1 to 100000"),
    ],
)
def test_a_part_that_there_is_none_of_is_refused(composed: Any, overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match="^features." + words.format(group="features.")):
        composed("train", [f"features.{override}" for override in overrides])
    with pytest.raises(UserError, match="^" + words.format(group="")):
        composed("inspect", ["source=x", *overrides])


@pytest.mark.parametrize("override", ["features=live", "model.freeze=false"])
def test_parts_without_stored_features_are_refused(part: Run, override: str) -> None:
    with pytest.raises(UserError, match=r"features\.shards?"):
        part(0, 2, override)


@pytest.fixture(scope="module")
def photographs(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small photographs. Not to be changed."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, path in enumerate(sorted(surfaces.rglob("*.jpg"))[:4]):
        Image.open(path).resize((100, 65)).save(folder / f"wall {number}.jpg")
    return folder


@pytest.fixture
def inspect_part(composed: Any, checkpoint: Path, photographs: Path) -> Run:
    """Inspect the photographs, in parts by `overrides`; the run folder."""

    def run(*overrides: str, run: str = "inspected", source: Path = photographs) -> Path:
        given = [f"ckpt_path={checkpoint}", f"source={source}", "engine=eager", *overrides]
        options, folder = composed("inspect", given, run=run)
        inspect(options, folder)
        return Path(folder)

    return run


def found_in(folder: Path) -> list[dict[str, str]]:
    return [row | {"seconds": ""} for row in rows(folder / "inspection.csv")]


def test_parts_of_photographs_are_one_inspection(inspect_part: Run) -> None:
    whole = inspect_part(run="whole")
    for shard in range(3):
        folder = inspect_part(f"shard={shard}", "shards=3")
    assert not (folder / "inspection.csv").exists()
    assert sum(json.loads(path.read_text())["photographs"] for path in folder.glob("parts/*.json")) == 4
    done = {path: path.read_bytes() for path in sorted(folder.glob("photographs/*/*"))}
    inspect_part("shards=3")
    assert found_in(folder) == found_in(whole)
    assert len(found_in(folder)) == 4
    # The report comes from what the parts did: nothing is inspected again.
    assert {path: path.read_bytes() for path in sorted(folder.glob("photographs/*/*"))} == done
    pictures = [path.relative_to(folder) for path in done if path.suffix in (".png", ".npy", ".jpg")]
    assert all((whole / path).read_bytes() == (folder / path).read_bytes() for path in pictures)


def test_a_part_of_photographs_that_is_missing_is_named(inspect_part: Run) -> None:
    folder = inspect_part("shard=1", "shards=3")
    with pytest.raises(UserError, match=rf"^parts 0, 2 of 3 are not finished in {folder}: .* shard=0,2 shards=3 "):
        inspect_part("shards=3")
    assert not (folder / "report.html").exists()


def test_parts_of_another_threshold_are_refused(inspect_part: Run) -> None:
    folder = inspect_part("shard=0", "shards=2")
    inspect_part("shard=1", "shards=2", "threshold=0.9")
    words = "were inspected with another checkpoint or other options: use the same checkpoint and options now"
    with pytest.raises(UserError, match=rf"^parts 1 in {folder} {words}"):
        inspect_part("shards=2")
    with pytest.raises(UserError, match=rf"^parts 0 in {folder} {words}"):
        inspect_part("shards=2", "threshold=0.9")


def test_two_runs_of_one_part_are_refused(inspect_part: Run) -> None:
    folder = inspect_part("shard=0", "shards=2")
    words = rf"^another run inspects part 0 of 2 in {folder}: wait for it, or end it first$"
    with FileLock(folder / "parts/part-00000-of-00002.lock"):
        inspect_part("shard=1", "shards=2")
        with pytest.raises(UserError, match=words):
            inspect_part("shard=0", "shards=2")


def test_a_bad_photograph_fails_its_part(inspect_part: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/wall.jpg").write_text("no image")
    for overrides in (["shard=0", "shards=1"], ["shards=1"]):
        with pytest.raises(SystemExit, match=r"^1$"):
            inspect_part(*overrides, source=tmp_path / "bad")
    assert [row["verdict"] for row in found_in(tmp_path / "inspected")] == ["error"]
