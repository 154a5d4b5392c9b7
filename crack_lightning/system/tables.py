"""Reads CSV tables from various sources: this package, Excel, other encodings and delimiters."""

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.system.files import not_a_file
from crack_lightning.system.names import from_cell

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Row:
    """A row: its values by the lower-case names of their columns, and the number of the line on which it ends."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


def read_table(path: Path, columns: Sequence[str], *, key: str) -> list[Row]:
    """Returns the rows of a table that must have `columns`; `key` is the option that gives the path.

    Handles a byte order mark, UTF-16, other delimiters than the comma, and Excel's first line `sep=;`; bytes that are
    not UTF-8 are kept as surrogates, as Python does in file names.

    Raises FileNotFoundError if the file is missing, and UserError, with what is needed, if it is not such a table.
    """
    wanted = " and ".join(filter(None, [", ".join(columns[:-1]), *columns[-1:]]))
    needed = f"a table with columns {wanted} is needed"
    if not path.exists():
        raise FileNotFoundError(f"{key}={path} does not exist: {needed}")
    if problem := not_a_file(path):
        raise UserError(f"{key}={path} cannot be read ({problem}): {needed}")
    content = path.read_bytes()
    if content.startswith(b"PK"):
        raise UserError(f"{key}={path} is a workbook: save it as CSV; {needed}")
    lines = _text(content)
    first, _, rest = lines.partition("\n")
    declared = first.strip().lower().removeprefix("sep=") if first.strip().lower().startswith("sep=") else None
    delimiters = [declared] if declared and len(declared) == 1 else DELIMITERS
    text = rest if declared else lines
    header: list[str] = []
    for delimiter in delimiters:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            names = [name.strip().lower() for name in next(reader, [])]
            if set(columns) <= set(names):
                rows = ((reader.line_num + bool(declared), map(from_cell, row)) for row in reader if any(row))
                return [Row(line, dict(zip(names, row))) for line, row in rows]  # noqa: B905
        except csv.Error as error:
            raise UserError(f"{path} is not a table that can be read (line {reader.line_num}: {error})") from error
        header = names if len(names) > len(header) else header
    present = ", ".join(name for name in header if name) or "none"
    raise UserError(f"{path} needs columns {wanted}; it has {present}")


def records_of_table(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a table that this package wrote, by column; numbers as numbers, empty values as None."""
    return [{name: _value(text) for name, text in row.values.items()} for row in read_table(path, (), key="table")]


def _value(text: str) -> str | int | float | None:
    for number_type in (int, float):
        try:
            return number_type(text)
        except ValueError:
            continue
    return text or None


def _text(content: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
