"""The points of a Hydra multirun side by side."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from crack_lightning.cli.command import FAILED
from crack_lightning.evaluation.folds import fold_summary
from crack_lightning.system.files import write_csv

log = logging.getLogger(__name__)

LOGGED_METRICS = ("test/accuracy", "test/recall", "test/precision", "test/f1")


class SweepTable(Callback):
    """Writes sweep.csv in the sweep's folder: one row for each finished job, with its overrides and its metrics."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = [_job(path.parent) for path in sorted(folder.glob("*/metrics.json"), key=_number)]
        if jobs:
            _write_table(folder, jobs, config.get("objective"))
        if failed := [path.parent.name for path in sorted(folder.glob(f"*/{FAILED}"), key=_number)]:
            # Not an exception, which Hydra would make a warning.
            sys.exit(f"{len(failed)} points of the sweep failed: {', '.join(failed)}")


def _write_table(folder: Path, jobs: Sequence[dict[str, Any]], objective: str | None) -> None:
    names = list(dict.fromkeys(name for job in jobs for name in job))
    write_csv(folder / "sweep.csv", names, [[job.get(name, "") for name in names] for job in jobs])
    _write_folds(folder, jobs)
    if objective is not None and objective in names:
        sign = 1 if objective.endswith("loss") else -1
        best = min(jobs, key=lambda job: sign * job[objective])
        log.info("best %s %.4f in %s", objective, best[objective], folder / str(best["job"]))
    log.info("%d runs side by side: %s", len(jobs), folder / "sweep.csv")


def _write_folds(folder: Path, jobs: Sequence[dict[str, Any]]) -> None:
    header, rows = fold_summary(jobs)
    if not rows:
        return
    write_csv(folder / "folds.csv", header, rows)
    for row in rows:
        *_, figure, count, mean, deviation, worst, number = row
        if figure in LOGGED_METRICS:
            shown = (figure, count, mean, deviation, worst, number)
            log.info("%s over %d folds: mean %.4f, deviation %.4f, worst %.4f in fold %s", *shown)


def _number(path: Path) -> tuple[int, str]:
    name = path.parent.name
    return (int(name), name) if name.isdigit() else (-1, name)


def _job(folder: Path) -> dict[str, Any]:
    """Returns the job's name, its overrides by key, and its metrics."""
    overrides = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    pairs = [str(override).partition("=")[::2] for override in overrides or []]
    return {"job": folder.name} | dict(pairs) | json.loads((folder / "metrics.json").read_text())
