"""A data set in archives is the data set of its files."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from conftest import TINY, compose_into, copied, metrics

from crack_lightning.cli.options import options_of
from crack_lightning.cli.training import train
from crack_lightning.data.options import JudgedDataOptions
from crack_lightning.data.samples.packed import packed_split, packed_splits
from crack_lightning.errors import UserError
from crack_lightning.evaluate import evaluate
from crack_lightning.features.module import file_identity
from crack_lightning.pack import pack
from crack_lightning.runs.judging import warn_of_training_data
from crack_lightning.system.files import content_hash, not_a_file
from crack_lightning.system.members import member_of, open_bytes

NAMES = ["Negative", "Positive"]
Compose = Callable[..., tuple[Any, Path]]


@pytest.fixture(scope="module")
def packed(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small surfaces in archives of some 20 kB. Not to be changed."""
    folder = tmp_path_factory.mktemp("packed") / "run"
    pack(options_of(compose_into(folder, "pack", [f"data.root={surfaces}", "shard_mb=0.02"])), folder)
    return folder


def test_archives_hold_the_bytes_of_every_file(packed: Path, surfaces: Path) -> None:
    files = {path.relative_to(surfaces).as_posix(): path for path in surfaces.rglob("*.jpg")}
    splits = packed_splits(packed, NAMES)
    samples = [sample for split in splits.values() for sample in split]
    assert {sample.name for sample in samples} == files.keys()
    for sample in samples:
        path = files[sample.name]
        with open_bytes(sample.path) as file:
            assert file.read() == path.read_bytes()
        assert content_hash(sample.path) == content_hash(path)
        assert NAMES[sample.label] == path.parent.name
        assert (sample.path.parent.name, sample.path.name) == (path.parent.name, path.name)


def test_any_program_reads_picture_and_class(packed: Path) -> None:
    facts = json.loads((packed / "pack.json").read_text())
    for split, told in facts["splits"].items():
        counts = dict.fromkeys(NAMES, 0)
        archives = [name for name in told["files"] if name.endswith(".tar")]
        for name in archives:
            with tarfile.open(packed / name) as archive:
                names = archive.getnames()
                for picture, label in zip(names[::2], names[1::2], strict=True):
                    assert picture.removesuffix(".jpg") == label.removesuffix(".cls")
                    content = archive.extractfile(label)
                    counts[NAMES[int(content.read())]] += 1  # type: ignore[union-attr]
        assert counts == told["classes"]
        assert sum(counts.values()) == told["images"]
        assert split != "train" or len(archives) > 1


def test_the_same_pictures_give_the_same_bytes(packed: Path, surfaces: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    pack(options_of(compose_into(again, "pack", [f"data.root={surfaces}", "shard_mb=0.02"])), again)
    for path in packed.glob("*.*"):
        if path.suffix in (".tar", ".jsonl", ".json"):
            assert (again / path.name).read_bytes() == path.read_bytes()


def test_training_finds_the_features_of_the_files(packed: Path, surfaces: Path, tmp_path: Path) -> None:
    found = []
    base = [*TINY, f"cache_dir={tmp_path}/cache", "data.image_size=32"]
    for name, data in (
        ("files", ["data.root=" + str(surfaces)]),
        ("packed", ["data=webdataset", f"data.root={packed}"]),
    ):
        words = [word for word in base if not (name == "packed" and word == "data=folder")]
        train(compose_into(tmp_path / name, "train", [*words, *data, "seed=0"]))
        (store,) = (tmp_path / "cache/features").iterdir()
        found.append(sorted(path.stat().st_size for path in store.glob("*.rows")))
    assert found[0] == found[1]  # nothing was computed again
    assert metrics(tmp_path / "packed").keys() == metrics(tmp_path / "files").keys()


def test_a_checkpoint_is_judged_on_archives_as_on_files(
    composed: Compose, packed: Path, checkpoint: Path, tmp_path: Path
) -> None:
    words = [f"ckpt_path={checkpoint}", "engine=eager"]
    judged = evaluate(*composed("evaluate", [*words, f"data.root={packed}", "data.split=val"]))
    for sample in packed_splits(packed, NAMES)["val"]:
        there = tmp_path / "files" / NAMES[sample.label] / sample.path.name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(open_bytes(sample.path).read())
    assert judged == evaluate(*composed("evaluate", [*words, f"data.root={tmp_path}/files"]))
    with pytest.raises(UserError, match=r"was split when it was packed: leave data\.group_by and data\.split_csv out$"):
        evaluate(*composed("evaluate", [*words, f"data.root={packed}", "data.group_by=file"]))


def test_classes_in_another_order_keep_their_pictures(packed: Path) -> None:
    for sample in packed_split(packed, "train", NAMES[::-1]):
        assert NAMES[::-1][sample.label] == sample.path.parent.name
    with pytest.raises(UserError, match=r"give data\.class_names=\[Negative,Positive\], in the order of .* no, yes$"):
        packed_split(packed, "train", ["no", "yes"])


@pytest.mark.parametrize("split", ["pack.json", "train/ val/ test/", None])
def test_held_out_pictures_bring_no_warning(
    split: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if split == "pack.json":
        (tmp_path / split).write_text("{}")
    elif split:
        for name in split.split():
            (tmp_path / name).mkdir()
    data = SimpleNamespace(split=None)
    warn_of_training_data(tmp_path, cast("JudgedDataOptions", data), {"data_root": str(tmp_path)})
    assert bool(caplog.records) == (split is None)


def test_what_is_wrong_with_archives_is_named(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"has no pack\.json: data=webdataset is for what python -m crack_lightning.pack"
    ):
        packed_splits(tmp_path, NAMES)
    with pytest.raises(
        UserError, match=r"was packed with the classes Negative, Positive: give data\.class_names=\[Neg"
    ):
        packed_splits(packed, ["no", "yes"])
    cut = copied(packed, tmp_path / "cut")
    archive = cut / "train-000000.tar"
    archive.write_bytes(archive.read_bytes()[:-512])
    with pytest.raises(UserError, match=rf"^{archive} has \d+ bytes instead of \d+: copy it again, or pack again$"):
        packed_splits(cut, NAMES)
    archive.unlink()
    with pytest.raises(UserError, match=rf"^{archive} is missing: copy it again"):
        packed_splits(cut, NAMES)
    (cut / "pack.json").write_text("{")
    with pytest.raises(UserError, match=r"pack\.json is damaged: pack again$"):
        packed_splits(cut, NAMES)


def test_packing_twice_into_a_folder_is_refused(packed: Path, surfaces: Path) -> None:
    options = options_of(compose_into(packed, "pack", [f"data.root={surfaces}"]))
    with pytest.raises(UserError, match=r"pack\.json is there already: give another hydra\.run\.dir=FOLDER"):
        pack(options, packed)


def test_what_was_packed_is_not_packed_or_split_again(composed: Compose, configured: Any, packed: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.layout=webdataset: class folders and tables are packed"):
        composed("pack", ["data=webdataset", f"data.root={packed}"])
    words = [word for word in TINY if word != "data=folder"]
    cfg = configured("train", ["data=webdataset", f"data.root={packed}", "data.group_by=near_duplicates", *words])
    with pytest.raises(UserError, match=r"was split when it was packed: leave data\.group_by and data"):
        train(cfg)


def test_a_path_of_the_disk_is_no_member(tmp_path: Path) -> None:
    assert member_of(tmp_path / "a.tar" / "picture.jpg") is None
    assert member_of(tmp_path / "a.tar") is None
    found = member_of(tmp_path / "a.tar" / "512+7" / "Positive" / "1.jpg")
    assert found is not None
    assert (found.archive, found.start, found.size) == (tmp_path / "a.tar", 512, 7)
    assert not_a_file(tmp_path / "a.tar" / "512+7" / "1.jpg") == "vanished while it was looked at"


def test_a_picture_in_an_archive_has_every_identity(packed: Path) -> None:
    first, second = packed_splits(packed, NAMES)["train"][:2]
    for identity in ("content", "stat"):
        assert file_identity(first.path, identity) != file_identity(second.path, identity)
