"""Several checkpoints on several data sets."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import copied, metrics, rows, train_once
from omegaconf import DictConfig
from PIL import Image
from verbs import evaluate

from crack_lightning.cli.shorthand import rewritten
from crack_lightning.report.matrix import FIGURES, Cell, matrix_figure, matrix_markdown, matrix_rows

Compose = Callable[..., DictConfig]


def cell(checkpoint: str, data: str, value: float, *, held_out: bool = False) -> Cell:
    figures = dict.fromkeys(FIGURES, value)
    intervals = dict.fromkeys(FIGURES, (value - 0.1, value + 0.1))
    return Cell(checkpoint, data, 10, 4, 5, 0.5, held_out, figures, intervals)


CELLS = [
    cell("a", "x", 0.5, held_out=True),
    cell("a", "y|z", 0.25),
    cell("b", "x", 0.75),
    cell("b", "y|z", float("nan")),
]


def test_a_table_holds_every_figure_with_its_interval() -> None:
    header, lines = matrix_rows(CELLS)
    first = dict(zip(header, lines[0], strict=True))
    assert (first["checkpoint"], first["data"], first["held_out"], first["images"]) == ("a", "x", 1, 10)
    for name in FIGURES:
        assert [first[f"{name}{side}"] for side in ("", "_low", "_high")] == ["0.500000", "0.400000", "0.600000"]
    assert dict(zip(header, lines[3], strict=True))["f1"] == ""


def test_markdown_has_checkpoints_down_and_data_sets_across() -> None:
    lines = matrix_markdown(CELLS).splitlines()
    place = lines.index("## recall")
    assert lines[place + 2] == r"| | x | y\|z |"
    assert lines[place + 4] == "| a | 0.500* (0.400 to 0.600) | 0.250 (0.150 to 0.350) |"
    assert lines[place + 5].endswith("| not defined |")


def test_the_figure_has_a_heat_map_a_figure() -> None:
    axes = matrix_figure(CELLS).axes
    assert [each.get_title() for each in axes] == [name.replace("_", " ") for name in FIGURES]
    assert {text.get_text() for text in axes[0].texts} >= {"0.500*", "0.250", "0.750", "none"}


@pytest.fixture(scope="module")
def two_runs(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of the surfaces themselves, and of others in other class folders. Not to be changed."""
    site = tmp_path_factory.mktemp("matrix") / "site"
    for before, after in (("Negative", "Non-cracked"), ("Positive", "Cracked")):
        (site / after).mkdir(parents=True)
        for path in (surfaces / before).iterdir():
            Image.open(path).rotate(90).save(site / after / path.name)
    options = ["trainer.max_epochs=1", "data.fractions=[0.5,0.2,0.3]"]
    names = ["data.class_names=[Cracked,Non-cracked]", "data.positive_class=Cracked"]
    one = train_once(tmp_path_factory, "one", surfaces, *options)
    return [one, train_once(tmp_path_factory, "two", site, *options, *names)]


def site_of(run: Path) -> Path:
    """The folder that holds the class folders of a run's photographs."""
    return Path(rows(run / "split.csv")[0]["path"]).parents[1]


@pytest.mark.usefixtures("no_figures")
def test_every_checkpoint_is_judged_on_every_set_without_training_images(
    composed: Compose, two_runs: list[Path], surfaces: Path, tmp_path: Path
) -> None:
    paths, site = ",".join(str(run / "checkpoints/best.ckpt") for run in two_runs), site_of(two_runs[1])
    overrides = rewritten("evaluate", [f"ckpt_path={paths}", f"data.roots={{metu:{surfaces},site:{site}}}"])
    evaluate(*composed("evaluate", [*overrides, "data.num_workers=0", "engine=eager"], run="matrix"))
    folder = tmp_path / "matrix"
    with (folder / "matrix.csv").open() as file:
        found = {(row["checkpoint"], row["data"]): row for row in csv.DictReader(file)}
    assert {key: (row["images"], row["held_out"]) for key, row in found.items()} == {
        ("one", "metu"): ("12", "1"),
        ("one", "site"): ("40", "0"),
        ("two", "metu"): ("40", "0"),
        ("two", "site"): ("12", "1"),
    }
    for name, run, where in (("one", two_runs[0], "metu"), ("two", two_runs[1], "site")):
        own = metrics(run)
        for figure in ("accuracy", "recall", "f1", "auroc", "average_precision", "ece"):
            assert float(found[name, where][figure]) == pytest.approx(own[f"test/{figure}"], abs=1e-5)
        assert rows(folder / name / where / "predictions.csv") == rows(run / "predictions.csv")
    cells = json.loads((folder / "matrix.json").read_text())
    assert [(each["checkpoint"], each["data"]) for each in cells] == list(found)
    assert "## balanced_accuracy" in (folder / "matrix.md").read_text()
    assert (folder / "figures/matrix.png").stat().st_size > 0
    assert list((folder / "tensorboard").glob("events.*"))


@pytest.mark.usefixtures("no_figures")
def test_training_images_are_recognised_elsewhere_and_keep_their_groups(
    composed: Compose, trained: Callable[..., Path], surfaces: Path, tmp_path: Path
) -> None:
    first = Path(shutil.copytree(surfaces, tmp_path / "first"))
    grouping = ["data.fractions=[0.4,0.3,0.3]", 'data.group_by="([0-9])[.]jpg$"']
    run = trained("trainer.max_epochs=1", f"data.root={first}", *grouping)
    second = copied(first, tmp_path / "second")
    checkpoint = f"ckpt_path={run}/checkpoints/best.ckpt"
    roots = f"data.roots={{second:{second}}}"
    own = metrics(run)
    for place in ("copied", "moved"):
        if place == "moved":
            shutil.rmtree(first)
        evaluate(*composed("evaluate", [checkpoint, roots, "data.num_workers=0", "engine=eager"], run=place))
        with (tmp_path / place / "matrix.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert row["held_out"] == "1"
        for name in ("accuracy", "recall_low", "recall_high", "f1_low"):
            assert float(row[name]) == pytest.approx(own[f"test/{name}"], abs=1e-5)


@pytest.mark.usefixtures("no_figures")
def test_a_fully_trained_set_is_reported_and_others_are_judged(
    composed: Compose, two_runs: list[Path], surfaces: Path, tmp_path: Path
) -> None:
    one, site = copied(two_runs[0], tmp_path / "one"), site_of(two_runs[1])
    table = one / "split.csv"
    table.write_text(table.read_text().replace(",test", ",train"))
    checkpoint = f"ckpt_path={one}/checkpoints/best.ckpt"
    roots = f"data.roots={{metu:{surfaces},site:{site}}}"
    evaluate(*composed("evaluate", [checkpoint, roots, "data.num_workers=0", "engine=eager"], run="matrix"))
    with (tmp_path / "matrix/matrix.csv").open() as file:
        found = {row["data"]: (row["images"], row["f1"]) for row in csv.DictReader(file)}
    assert found["metu"] == ("0", "")
    assert found["site"][0] == "40"
    assert "trained on all of it" in (tmp_path / "matrix/matrix.md").read_text()


def test_a_checkpoint_named_twice_is_refused(composed: Compose) -> None:
    with pytest.raises(ValueError, match=r"ckpt_path names a.ckpt twice"):
        evaluate(*composed("evaluate", ["ckpt_path=[a.ckpt,a.ckpt]", "data.root=x"]))


def test_several_checkpoints_with_commas_are_no_sweep() -> None:
    assert rewritten("evaluate", ["ckpt_path=a.ckpt,b.ckpt", "data.root=x,y"]) == [
        "ckpt_path=[a.ckpt,b.ckpt]",
        "data.root=x,y",
    ]
    assert rewritten("evaluate", ["-m", "ckpt_path=a.ckpt,b.ckpt"]) == ["-m", "ckpt_path=a.ckpt,b.ckpt"]
    assert rewritten("evaluate", ["ckpt_path={m:a.ckpt,n:b.ckpt}"]) == ["ckpt_path={m:a.ckpt,n:b.ckpt}"]
