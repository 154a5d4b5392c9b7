"""Summarises the folds of a cross-validation."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

FOLD = "data.fold"
HIGH_IS_BAD = ("/loss", "/ece", "/brier", "_in_training")
HEADER = ["figure", "folds", "mean", "deviation", "worst", "worst_fold"]


def fold_summary(jobs: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[Any]]]:
    """Returns a header and rows: for each figure of the test and of the split its mean, standard deviation, worst fold.

    `jobs` are the points of a sweep, by override and figure. Each combination of the other overrides that were swept
    has its own rows, in which they come first; one with fewer than two folds has none.
    """
    swept = list(dict.fromkeys(key for job in jobs for key in job if _is_override(key) and key != FOLD))
    swept = [key for key in swept if len({str(job.get(key)) for job in jobs}) > 1]
    folds_by_values: dict[tuple[str, ...], list[Mapping[str, object]]] = defaultdict(list)
    for job in jobs:
        if FOLD in job:
            folds_by_values[tuple(str(job.get(key, "")) for key in swept)].append(job)
    rows = []
    for values, folds in folds_by_values.items():
        if len(folds) < 2:
            continue
        for figure in [key for key in folds[0] if key.startswith(("test/", "split/"))]:
            if not figure.endswith(("_low", "_high")) and all(figure in fold for fold in folds):
                rows.append([*values, *_summary(figure, folds)])
    return [*swept, *HEADER], rows


def _summary(figure: str, folds: Sequence[Mapping[str, object]]) -> list[Any]:
    values = [float(str(fold[figure])) for fold in folds]
    worst = max(values) if any(name in figure for name in HIGH_IS_BAD) else min(values)
    worst_fold = folds[values.index(worst)][FOLD]
    return [figure, len(values), statistics.fmean(values), statistics.stdev(values), worst, worst_fold]


def _is_override(key: str) -> bool:
    return key != "job" and "/" not in key.partition(".")[0] and "." in key
