"""Gives each mark of a photograph a number for life: a mark that comes back, at another threshold or after another
inspection, has the number that it had."""

import json
import logging
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from crack_lightning.corrections.nearness import SAME_SHARE, Places, PointTree, lines_near, name_of, near, runs_along
from crack_lightning.errors import UserError
from crack_lightning.measurement.kept_records import checked_lines
from crack_lightning.measurement.record import CrackRecord
from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

Array = np.ndarray

NUMBERS_FILE = "numbers.json"  # in the folder of a photograph


@dataclass(frozen=True)
class Numbered:
    """A number, and the lines (n, 2) of the mark that has it."""

    number: int
    lines: Sequence[Array]

    @cached_property
    def name(self) -> str:
        """Returns what these lines are called: a mark with the same ones is the same."""
        return name_of(self.lines)

    @cached_property
    def tree(self) -> PointTree:
        """Returns a search tree of points along the lines."""
        return lines_near(self.lines)


@dataclass
class NumberBook:
    """The numbers of a photograph's marks, in a file.

    `picture` identifies the picture: marks of another one are others. `reserved` numbers were given to cracks in the
    journal.
    """

    path: Path
    picture: str
    reserved: Collection[int] = ()
    marks: list[Numbered] = field(default_factory=list)
    guard: threading.RLock = field(default_factory=threading.RLock)

    def numbered(self, records: Sequence[CrackRecord]) -> list[CrackRecord]:
        """Returns marks with their numbers; those that are new get the next ones, which are kept."""
        with self.guard:
            known = self._known(records)
            free, new, result = self.next_free(), list[Numbered](), list[CrackRecord]()
            for index, record in enumerate(records):
                number = known.get(index)
                if number is None:
                    number, free = free, free + 1
                    new.append(Numbered(number, record.lines))
                result.append(record if record.number == number else replace(record, number=number))
            if new:
                self._learn(new)
            return result

    def number_of(self, lines: Sequence[Array], taken: Collection[int]) -> int:
        """Returns the number of a piece of a mark, other than those that are `taken`; a new one is kept."""
        with self.guard:
            points = np.concatenate(list(lines))
            for mark in Places(mark for mark in self.marks if mark.number not in taken).beside(points):
                if runs_along(points, mark.tree):
                    return mark.number
            number = max(self.next_free(), max(taken, default=0) + 1)
            self._learn([Numbered(number, lines)])
            return number

    def next_free(self) -> int:
        """Returns a number that no mark and no crack ever had."""
        return max([0, *self.reserved, *(mark.number for mark in self.marks)]) + 1

    def _known(self, records: Sequence[CrackRecord]) -> dict[int, int]:
        """Returns the numbers of the marks that are known, by their index; those alike over most length come first."""
        names = {mark.name: mark.number for mark in self.marks}
        own = [names.get(name_of(record.lines)) for record in records]
        known = {index: number for index, number in enumerate(own) if number is not None}
        used, pairs = set(known.values()), list[tuple[float, int, int]]()
        rest = [index for index in range(len(records)) if index not in known]
        places = Places(mark for mark in self.marks if rest and mark.number not in used)
        for index in rest:
            lines = records[index].lines
            points, tree = np.concatenate(list(lines)), lines_near(lines)
            for mark in places.beside(points):
                here, there = near(points, mark.tree), near(np.concatenate(list(mark.lines)), tree)
                if max(here.mean(), there.mean()) >= SAME_SHARE:
                    pairs.append((float(here.mean()) * records[index].length_px, index, mark.number))
        for _, index, number in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
            if index not in known and number not in used:
                known[index] = number
                used.add(number)
        return known

    def _learn(self, new: Iterable[Numbered]) -> None:
        self.marks += new
        marks = {mark.number: [np.round(line, 1).tolist() for line in mark.lines] for mark in self.marks}
        write_atomically(self.path, json.dumps({"picture": self.picture, "marks": marks}).encode())


def open_book(folder: Path, picture: str) -> NumberBook:
    """Opens the book of a photograph whose files are in `folder`; it is empty where the file is missing, is damaged or
    belongs to another picture."""
    book = NumberBook(folder / NUMBERS_FILE, picture)
    try:
        kept = json.loads(book.path.read_text())
        if kept["picture"] == picture:
            book.marks = [Numbered(int(number), checked_lines(lines)) for number, lines in kept["marks"].items()]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, UserError) as error:
        log.warning("%s is damaged (%s): marks that nobody judged get new numbers", book.path, error)
    return book
