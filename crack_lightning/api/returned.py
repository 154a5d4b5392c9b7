"""What the functions of Python return: small records that print as one line and show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from crack_lightning.api.notebook import table_html
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.summary import counted
from crack_lightning.system.names import plural
from crack_lightning.system.tables import records_of_table


@dataclass(frozen=True)
class InspectionRun:
    """The results of `inspect` and `Marked.save`: the `folder`, and what is known of each photograph."""

    folder: Path
    photographs: tuple[Inspected, ...] = field(repr=False)

    @property
    def report(self) -> Path:
        """Returns the path of the report."""
        return self.folder / "report.html"

    def table(self) -> list[dict[str, Any]]:
        """Returns a row for each photograph, with the columns of inspection.csv."""
        return records_of_table(self.folder / "inspection.csv")

    def cracks(self) -> list[dict[str, Any]]:
        """Returns a row for each crack of all photographs, with the columns of cracks.csv; none of a classifier."""
        path = self.folder / "cracks.csv"
        return records_of_table(path) if path.is_file() else []

    def __str__(self) -> str:
        return f"{plural(len(self.photographs), 'photograph')} ({counted(self.photographs)}): {self.report}"

    def _repr_html_(self) -> str:
        return _shown(self, self.table())


@dataclass(frozen=True)
class EvaluationRun:
    """The results of `evaluate`: `metrics` such as test/accuracy with their intervals.

    For several checkpoints or data sets `metrics` is empty, and `table()` has them."""

    folder: Path
    metrics: dict[str, float]

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """Returns a row for each picture that was judged, with the columns of predictions.csv."""
        return _records(self.folder / "predictions.csv")

    def table(self) -> list[dict[str, Any]]:
        """Returns the metrics as rows: of several checkpoints or data sets those of matrix.csv."""
        matrix = _records(self.folder / "matrix.csv")
        return matrix or [{"metric": name, "value": value} for name, value in sorted(self.metrics.items())]

    def __str__(self) -> str:
        return f"{headline(self.metrics) or plural(len(self.table()), 'result')}: {self.folder}"

    def _repr_html_(self) -> str:
        return _shown(self, self.table())


@dataclass(frozen=True)
class ComparisonRun:
    """The results of `compare`; `unmatched` is how many photographs of the later inspection have no earlier one."""

    folder: Path
    unmatched: int

    def table(self) -> list[dict[str, Any]]:
        """Returns a row for each crack of both inspections and what became of it, as comparison.csv."""
        return records_of_table(self.folder / "comparison.csv")

    def __str__(self) -> str:
        cracks, unmatched = plural(len(self.table()), "crack"), plural(self.unmatched, "photograph")
        return f"{cracks} compared, {unmatched} unmatched: {self.folder / 'report.html'}"

    def _repr_html_(self) -> str:
        return _shown(self, self.table())


@dataclass(frozen=True)
class ExportRun:
    """The results of `export`: the files of the network; model.json and model_card.md describe them."""

    folder: Path
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{', '.join(path.name for path in self.files)}: {self.folder}"

    def _repr_html_(self) -> str:
        return _shown(self, [{"file": path.name, "bytes": path.stat().st_size} for path in self.files])


@dataclass(frozen=True)
class AuditRun:
    """The results of `audit`; `errors` is how many findings keep a folder from being trained on as it is."""

    folder: Path
    errors: int

    def table(self) -> list[dict[str, Any]]:
        """Returns a row for each finding, with the columns of audit.csv."""
        return records_of_table(self.folder / "audit.csv")

    def __str__(self) -> str:
        return f"{plural(len(self.table()), 'finding')}, {plural(self.errors, 'error')}: {self.folder}/audit.html"

    def _repr_html_(self) -> str:
        return _shown(self, self.table())


def headline(metrics: Mapping[str, float]) -> str:
    """Returns the metrics that matter most, in words."""
    words = {"test/accuracy": "accuracy", "test/f1": "F1", "test/recall": "recall", "test/precision": "precision"}
    words |= {"test/cells_f1": "F1 of cells", "test/cells_recall": "recall of cells"}
    return ", ".join(f"{word} {metrics[name]:.4f}" for name, word in words.items() if name in metrics)


def _records(path: Path) -> list[dict[str, Any]]:
    return records_of_table(path) if path.is_file() else []


def _shown(run: object, rows: Sequence[Mapping[str, object]]) -> str:
    return f"<p>{escape(str(run))}</p>{table_html(rows)}"
