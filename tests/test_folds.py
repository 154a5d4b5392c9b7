import csv
import subprocess
import sys
from pathlib import Path

import pytest

from crack_lightning.evaluation.folds import fold_summary


def job(fold: str, accuracy: float, loss: float, **others: str) -> dict[str, object]:
    figures = {"test/accuracy": accuracy, "test/loss": loss, "test/ece_uncalibrated": loss}
    return {"job": "0", "data.folds": "3", "data.fold": fold, **others, **figures}


def test_folds_are_summarised_by_mean_deviation_and_worst_fold() -> None:
    header, rows = fold_summary([job("0", 0.9, 0.2), job("1", 0.8, 0.1), job("2", 1.0, 0.6)])
    assert header == ["figure", "folds", "mean", "deviation", "worst", "worst_fold"]
    assert {row[0]: row[1:] for row in rows} == {
        "test/accuracy": [3, pytest.approx(0.9), pytest.approx(0.1), 0.8, "1"],
        "test/loss": [3, pytest.approx(0.3), pytest.approx(0.2645751), 0.6, "2"],
        "test/ece_uncalibrated": [3, pytest.approx(0.3), pytest.approx(0.2645751), 0.6, "2"],
    }


def test_what_else_was_swept_is_summed_up_apart() -> None:
    jobs = [job(fold, value, 0.1, **{"optimizer.lr": lr}) for lr, value in (("1", 0.9), ("2", 0.5)) for fold in "012"]
    header, rows = fold_summary(jobs)
    assert header[0] == "optimizer.lr"
    assert [(row[0], row[3]) for row in rows if row[1] == "test/accuracy"] == [
        ("1", pytest.approx(0.9)),
        ("2", pytest.approx(0.5)),
    ]


def test_a_sweep_without_folds_has_none() -> None:
    assert fold_summary([{"job": "0", "seed": "1", "test/accuracy": 0.5}, {"job": "1", "seed": "2"}])[1] == []


@pytest.mark.slow
def test_a_multirun_over_the_folds_writes_their_summary(surfaces: Path, tmp_path: Path) -> None:
    from conftest import TINY

    command = [sys.executable, "train.py", "-m", *TINY, f"data.root={surfaces}", "trainer.max_epochs=1"]
    command += ["data.folds=3", "data.fold=0,1,2", f"hydra.sweep.dir={tmp_path}"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert "test/accuracy over 3 folds: mean" in done.stdout + done.stderr
    with (tmp_path / "folds.csv").open() as file:
        found = {row["figure"]: row for row in csv.DictReader(file)}
    with (tmp_path / "sweep.csv").open() as file:
        values = [float(row["test/accuracy"]) for row in csv.DictReader(file)]
    assert float(found["test/accuracy"]["mean"]) == pytest.approx(sum(values) / 3)
    assert float(found["test/accuracy"]["worst"]) == min(values)
