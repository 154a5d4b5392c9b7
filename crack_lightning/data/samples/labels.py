"""Reads the labels of a folder of pictures from a table."""

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
MAX_NAMED = 5  # largest number of pictures that a message names


@dataclass(frozen=True)
class LabelledPicture:
    """A row of the table.

    `path` is the picture and `name` its path below the root. `group` may be empty; `split` is train, val, test or
    empty. `line` is the number of the line in the table.
    """

    path: Path
    name: str
    label: str
    group: str
    split: str
    line: int


def labels_table(root: Path, labels: str | None) -> Path:
    """Returns the path of the table: `labels` if it is given, else labels.csv in `root`."""
    return root / DEFAULT_TABLE if labels is None else expanded(labels).absolute()


def read_labels(root: Path, labels: str | None) -> list[LabelledPicture]:
    """Returns the rows of a table with the columns path, label[, group][, split], sorted by path.

    The pictures are below `root`. Raises ValueError or FileNotFoundError for a picture that is missing or occurs twice,
    and for an unknown split.
    """
    table = labels_table(root, labels)
    rows = read_table(table, ("path", "label"), key="data.labels")
    paths = [item.path / name for item in walk(root) for name in [*item.folders, *item.files] if is_image_name(name)]
    names = {path: path.relative_to(root).as_posix() for path in paths}
    pictures = {name: path for path, name in names.items()} | {str(path): path for path in paths}
    picture_keys = matched([row["path"] for row in rows], pictures)
    if missing := [row["path"] for row in rows if row["path"] not in picture_keys]:
        first_names = ", ".join(missing[:MAX_NAMED]) + (
            f" and {len(missing) - MAX_NAMED} more" * (len(missing) > MAX_NAMED)
        )
        raise FileNotFoundError(f"{table} names {len(missing)} pictures that are not in {root}: {first_names}")
    seen: dict[Path, int] = {}
    labelled = []
    for row in rows:
        path = pictures[picture_keys[row["path"]]]
        if path in seen:
            raise UserError(f"{table} names {row['path']} twice (lines {seen[path]} and {row.line})")
        seen[path] = row.line
        label, split = row["label"].strip(), _split_of(table, row)
        labelled.append(LabelledPicture(path, names[path], label, row["group"], split, row.line))
    if len(labelled) < len(paths):
        log.warning("%d pictures in %s have no row in %s: left out", len(paths) - len(labelled), root, table)
    if any(item.split for item in labelled) and not all(item.split for item in labelled):
        raise UserError(f"{table} has a split for some rows only: give each row a split, or leave the column out")
    return sorted(labelled, key=lambda item: str(item.path))


def _split_of(table: Path, row: Row) -> str:
    text = row["split"].strip()
    split = named_split(text)
    if text and split is None:
        raise UserError(f"{table} has the split {text!r} in line {row.line}: must be train, val or test")
    return split or ""


def table_splits(root: Path, labels: str | None) -> dict[Path, str]:
    """Returns the split of every picture (train, val or test); empty if the table has no splits."""
    return {row.path: row.split for row in read_labels(root, labels) if row.split}


def label_indices(rows: Sequence[LabelledPicture], class_names: Sequence[str]) -> list[int] | None:
    """Returns the index of each row's label in `class_names`; None if a label is not one of them."""
    index_of = {comparable(name): index for index, name in enumerate(class_names)}
    indices = [index_of.get(comparable(row.label)) for row in rows]
    return None if None in indices else [index for index in indices if index is not None]
