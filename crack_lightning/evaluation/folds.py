"""Summarises the folds of a cross-validation."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

FOLD_KEY = "data.fold"
# Parts of the names of figures that are better when they are lower.
LOWER_IS_BETTER = ("/loss", "/ece", "/brier", "_in_training")
HEADER = ["figure", "folds", "mean", "deviation", "worst", "worst_fold"]


def fold_summary(jobs: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[Any]]]:
    """Returns a header and rows: the mean, standard deviation and worst fold of each figure of the test and the split.

    `jobs` are the points of a sweep: each maps its overrides and figures to their values. If other overrides were swept
    too, each combination of their values has its own rows, which begin with these values. A combination with fewer than
    two folds has no rows.
    """
    swept = list(dict.fromkeys(key for job in jobs for key in job if _is_override(key) and key != FOLD_KEY))
    swept = [key for key in swept if len({str(job.get(key)) for job in jobs}) > 1]
    folds_by_values: dict[tuple[str, ...], list[Mapping[str, object]]] = defaultdict(list)
    for job in jobs:
        if FOLD_KEY in job:
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
    worst = max(values) if any(name in figure for name in LOWER_IS_BETTER) else min(values)
    worst_fold = folds[values.index(worst)][FOLD_KEY]
    return [figure, len(values), statistics.fmean(values), statistics.stdev(values), worst, worst_fold]


def _is_override(key: str) -> bool:
    return key != "job" and "/" not in key.partition(".")[0] and "." in key
