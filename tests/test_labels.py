"""Labels in a table beside one folder of pictures."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import metrics, rows
from omegaconf import DictConfig
from verbs import evaluate

from crack_lightning.data.samples.listing import find_samples

NAMES = ["Negative", "Positive"]


@pytest.fixture
def photos(surfaces: Path, tmp_path: Path) -> Path:
    """The small surfaces in one folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for path in sorted(surfaces.rglob("*.jpg")):
        (folder / "sub" / f"{path.parent.name[0]}{path.name}").symlink_to(path)
    return folder


def table(folder: Path, *, columns: str = "path;label", line: Callable[[str, int], str] | None = None) -> Path:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    plain: Callable[[str, int], str] = lambda name, k: f"{name};{NAMES[name[4] == 'P']}"  # noqa: E731
    lines = [columns, *((line or plain)(name, k) for k, name in enumerate(names))]
    (folder / "labels.csv").write_text("\r\n".join(lines), encoding="utf-8-sig")
    return folder / "labels.csv"


def test_a_run_trains_on_a_table(
    photos: Path, trained: Callable[..., Path], composed: Callable[..., DictConfig]
) -> None:
    table(photos)
    run = trained("data=table", f"data.root={photos}", "trainer.max_epochs=1")
    split = rows(run / "split.csv")
    assert len(split) == 40
    assert all(row["label"] == NAMES[Path(row["path"]).name[0] == "P"] for row in split)
    options = [f"ckpt_path={run}/checkpoints/best.ckpt", f"data.root={photos}", "data.layout=table", "engine=eager"]
    evaluate(*composed("evaluate", [*options, "data.split=test", f"data.split_csv={run}/split.csv"], run="judged"))
    assert metrics(run.parent / "judged")["test/accuracy"] == metrics(run)["test/accuracy"]


def test_groups_and_splits_of_the_table_are_kept(photos: Path, trained: Callable[..., Path]) -> None:
    parts = ["Train", "valid", "TEST", "train"]
    columns = "path;label;group;split"
    table(photos, columns=columns, line=lambda name, k: f"{name};{NAMES[name[4] == 'P']};g{k % 8};{parts[k % 4]}")
    run = trained("data=table", f"data.root={photos}", "trainer.max_epochs=1")
    for k, row in enumerate(sorted(rows(run / "split.csv"), key=lambda row: row["path"])):
        assert (row["split"], row["group"]) == (["train", "val", "test", "train"][k % 4], f"g{k % 8}")


def test_names_of_the_table_may_be_spelled_otherwise(photos: Path) -> None:
    (photos / unicodedata.normalize("NFD", "Brücke.jpg")).symlink_to(next(iter((photos / "sub").iterdir())))
    table(photos, line=lambda name, k: f"{unicodedata.normalize('NFC', name)};{NAMES[k % 2]}".replace("/", "\\"))
    assert len(find_samples(photos, NAMES, layout="table")) == 41


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("gone.jpg;Negative", r"labels.csv names 1 pictures that are not in .*: gone.jpg"),
        ("sub/N000000.jpg;Negative", r"names sub/N000000.jpg twice \(lines 2 and 42\)"),
        (
            "new.jpg;Unsure",
            r"has the labels Negative, Positive, Unsure \('Unsure' in line 42\), but data.class_names has Neg",
        ),
        ("new.jpg;Negative;;dev", r"has the split 'dev' in line 42: must be train, val or test"),
        ("new.jpg;Negative;;test", r"has a split for some rows only"),
    ],
)
def test_a_row_that_does_not_fit_is_named(photos: Path, line: str, text: str) -> None:
    path = table(photos, columns="path;label;group;split")
    (photos / "new.jpg").symlink_to(photos / "sub/N000000.jpg")
    path.write_text(path.read_text(encoding="utf-8-sig") + f"\n{line}\n")
    with pytest.raises((ValueError, FileNotFoundError), match=text):
        find_samples(photos, NAMES, layout="table")


def test_other_labels_get_a_hint_how_to_declare_them(photos: Path) -> None:
    table(photos, line=lambda name, k: f"{name};{k % 2}")
    with pytest.raises(ValueError, match=r"""set 'data.class_names=\["0","1"\]' if 0 is the sound one"""):
        find_samples(photos, NAMES, layout="table")


def test_pictures_without_a_row_are_left_out_with_a_word(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(photos)
    (photos / "new.jpg").symlink_to(photos / "sub/N000000.jpg")
    assert len(find_samples(photos, NAMES, layout="table")) == 40
    assert "1 pictures in" in caplog.text
