"""Reads labels from a table beside one folder of pictures."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.images.folders import walk
from crack_lightning.data.images.formats import is_image_name
from crack_lightning.data.samples.presplit import named_split
from crack_lightning.errors import UserError
from crack_lightning.system.files import expanded
from crack_lightning.system.names import comparable, matched
from crack_lightning.system.tables import Row, read_table

log = logging.getLogger(__name__)

DEFAULT_TABLE = "labels.csv"
MOST_NAMED = 5


@dataclass(frozen=True)
class Labelled:
    """A row of the table: picture, path below the root, label, group (empty: none), split (train, val, test or empty)
    and line number."""

    path: Path
    name: str
    label: str
    group: str
    split: str
    line: int


def table_of(root: Path, labels: str | None) -> Path:
    """Returns the table that `data.labels` names, else labels.csv in the folder."""
    return root / DEFAULT_TABLE if labels is None else expanded(labels).absolute()


def read_labels(root: Path, labels: str | None) -> list[Labelled]:
    """Returns the rows of a table path, label[, group][, split] with their pictures below `root`, sorted by path.

    Raises ValueError or FileNotFoundError for a picture that is missing or occurs twice, and for an unknown split.
    """
    table = table_of(root, labels)
    rows = read_table(table, ("path", "label"), key="data.labels")
    paths = [item.path / name for item in walk(root) for name in [*item.folders, *item.files] if is_image_name(name)]
    names = {path: path.relative_to(root).as_posix() for path in paths}
    pictures = {name: path for path, name in names.items()} | {str(path): path for path in paths}
    places = matched([row["path"] for row in rows], pictures)
    if missing := [row["path"] for row in rows if row["path"] not in places]:
        first_names = ", ".join(missing[:MOST_NAMED]) + (
            f" and {len(missing) - MOST_NAMED} more" * (len(missing) > MOST_NAMED)
        )
        raise FileNotFoundError(f"{table} names {len(missing)} pictures that are not in {root}: {first_names}")
    seen: dict[Path, int] = {}
    labelled = []
    for row in rows:
        path = pictures[places[row["path"]]]
        if path in seen:
            raise UserError(f"{table} names {row['path']} twice (lines {seen[path]} and {row.line})")
        seen[path] = row.line
        labelled.append(Labelled(path, names[path], row["label"].strip(), row["group"], _split(table, row), row.line))
    if len(labelled) < len(paths):
        log.warning("%d pictures in %s have no row in %s: left out", len(paths) - len(labelled), root, table)
    if any(item.split for item in labelled) and not all(item.split for item in labelled):
        raise UserError(f"{table} has a split for some rows and none for others: give all or leave the column out")
    return sorted(labelled, key=lambda item: str(item.path))


def _split(table: Path, row: Row) -> str:
    text = row["split"].strip()
    split = named_split(text)
    if text and split is None:
        raise UserError(f"{table} has the split {text!r} in line {row.line}: train, val or test")
    return split or ""


def table_splits(root: Path, labels: str | None) -> dict[Path, str]:
    """Returns train, val or test of every picture; empty where the table has no splits."""
    return {row.path: row.split for row in read_labels(root, labels) if row.split}


def label_numbers(rows: Sequence[Labelled], class_names: Sequence[str]) -> list[int] | None:
    """Returns the place of each row's label among `class_names`; None where a label is not one of them."""
    places = {comparable(name): number for number, name in enumerate(class_names)}
    numbers = [places.get(comparable(row.label)) for row in rows]
    return None if None in numbers else [number for number in numbers if number is not None]
