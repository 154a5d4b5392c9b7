"""Labels in a table beside one folder of pictures."""

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
    """A picture, its place below the root, its label, its group (empty: none given), train, val, test or empty, and
    the line of the table."""

    path: Path
    name: str
    label: str
    group: str
    split: str
    line: int


def table_of(root: Path, labels: str | None) -> Path:
    """The table that `data.labels` names, else labels.csv in the folder."""
    return root / DEFAULT_TABLE if labels is None else expanded(labels).absolute()


def read_labels(root: Path, labels: str | None) -> list[Labelled]:
    """The rows of a table path, label[, group][, split] with the pictures below `root` that they name, sorted by path.

    Raises ValueError or FileNotFoundError for a picture that is not there or comes twice, and for a split that is none.
    """
    table = table_of(root, labels)
    rows = read_table(table, ("path", "label"), key="data.labels")
    found = [each.path / name for each in walk(root) for name in [*each.folders, *each.files] if is_image_name(name)]
    names = {path: path.relative_to(root).as_posix() for path in found}
    pictures = {name: path for path, name in names.items()} | {str(path): path for path in found}
    places = matched([row["path"] for row in rows], pictures)
    if missing := [row["path"] for row in rows if row["path"] not in places]:
        named = ", ".join(missing[:MOST_NAMED]) + (
            f" and {len(missing) - MOST_NAMED} more" * (len(missing) > MOST_NAMED)
        )
        raise FileNotFoundError(f"{table} names {len(missing)} pictures that are not in {root}: {named}")
    seen: dict[Path, int] = {}
    labelled = []
    for row in rows:
        path = pictures[places[row["path"]]]
        if path in seen:
            raise UserError(f"{table} names {row['path']} twice (lines {seen[path]} and {row.line})")
        seen[path] = row.line
        labelled.append(Labelled(path, names[path], row["label"].strip(), row["group"], _split(table, row), row.line))
    if len(labelled) < len(found):
        log.warning("%d pictures in %s have no row in %s: left out", len(found) - len(labelled), root, table)
    if any(each.split for each in labelled) and not all(each.split for each in labelled):
        raise UserError(f"{table} has a split for some rows and none for others: give all or leave the column out")
    return sorted(labelled, key=lambda each: str(each.path))


def _split(table: Path, row: Row) -> str:
    given = row["split"].strip()
    split = named_split(given)
    if given and split is None:
        raise UserError(f"{table} has the split {given!r} in line {row.line}: train, val or test")
    return split or ""


def table_splits(root: Path, labels: str | None) -> dict[Path, str]:
    """train, val or test of every picture; empty where the table does not say."""
    return {row.path: row.split for row in read_labels(root, labels) if row.split}


def label_numbers(rows: Sequence[Labelled], class_names: Sequence[str]) -> list[int] | None:
    """The place of each row's label among `class_names`; None where a label is none of them."""
    places = {comparable(name): number for number, name in enumerate(class_names)}
    found = [places.get(comparable(row.label)) for row in rows]
    return None if None in found else [number for number in found if number is not None]
