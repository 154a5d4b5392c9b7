"""What the folds of a cross-validation say together."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

FOLD = "data.fold"
HIGH_IS_BAD = ("/loss", "/ece", "/brier", "_in_training")
HEADER = ["figure", "folds", "mean", "deviation", "worst", "worst_fold"]


def fold_summary(jobs: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: for each metric of the test and its split the mean, standard deviation and worst fold.

    `jobs` are the points of a sweep, by override and figure; what else was swept stands in front and has rows of its
    own. None where no two folds belong together.
    """
    swept = list(dict.fromkeys(key for job in jobs for key in job if _is_override(key) and key != FOLD))
    swept = [key for key in swept if len({str(job.get(key)) for job in jobs}) > 1]
    together: dict[tuple[str, ...], list[Mapping[str, object]]] = defaultdict(list)
    for job in jobs:
        if FOLD in job:
            together[tuple(str(job.get(key, "")) for key in swept)].append(job)
    rows = []
    for values, folds in together.items():
        if len(folds) < 2:
            continue
        for figure in [key for key in folds[0] if key.startswith(("test/", "split/"))]:
            if not figure.endswith(("_low", "_high")) and all(figure in fold for fold in folds):
                rows.append([*values, *_summary(figure, folds)])
    return [*swept, *HEADER], rows


def _summary(figure: str, folds: Sequence[Mapping[str, object]]) -> list[Any]:
    values = [float(str(fold[figure])) for fold in folds]
    worst = max(values) if any(name in figure for name in HIGH_IS_BAD) else min(values)
    number = folds[values.index(worst)][FOLD]
    return [figure, len(values), statistics.fmean(values), statistics.stdev(values), worst, number]


def _is_override(key: str) -> bool:
    return key != "job" and "/" not in key.partition(".")[0] and "." in key
