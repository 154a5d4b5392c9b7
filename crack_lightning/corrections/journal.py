"""Reads and writes corrections.jsonl: a line for each correction, which is on disk before the user gets an answer."""

import errno
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.corrections.correction import UNDO_OR_REDO, Correction, correction_of
from crack_lightning.corrections.undoing import active
from crack_lightning.errors import UserError
from crack_lightning.system.files import full_message, is_full, write_atomically

log = logging.getLogger(__name__)

JOURNAL = "corrections.jsonl"
MAX_NUMBER = 10**9  # numbers of corrections are below this


class Journal:
    """The corrections of a project in the order in which they were made; for one process with several threads.

    A line that is not a correction is ignored and stays in the file; `faults` has a message for each. If the last line
    has no line end, its process was killed while writing it: it is kept if it is complete, and removed otherwise. A
    caller that reads before it appends holds `guard`, so that no correction is recorded twice.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.guard, self._lock = path, threading.RLock(), threading.Lock()
        self.faults = list[str]()
        self._kept, self._lines = list[Correction](), 0
        self._crack_numbers: tuple[int, dict[str, set[int]]] = (0, {})
        self._indexed: tuple[int, list[Correction], dict[str, list[Correction]]] = (0, [], {})
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        self._bytes = content.rfind(b"\n") + 1
        lines, rest = content[: self._bytes].splitlines(), content[self._bytes :]
        for line in lines:
            self._read_line(line)
        if rest:
            self._finish_last_line(rest)
        for fault in self.faults:
            log.warning("%s", fault)

    @property
    def corrections(self) -> Sequence[Correction]:
        """Returns all corrections ever made, including undone ones, undo and redo."""
        return tuple(self._kept)

    @property
    def active(self) -> Sequence[Correction]:
        """Returns the corrections in force."""
        return self._index()[1]

    def of(self, photograph: str) -> Sequence[Correction]:
        """Returns the corrections in force for the photograph of this name; for an empty name, the scales for all
        photographs."""
        return self._index()[2].get(photograph, [])

    def crack_numbers(self, photograph: str) -> set[int]:
        """Returns the numbers that cracks of a photograph ever had in corrections, undone ones included."""
        known, numbers = self._crack_numbers
        for correction in self._kept[known:]:
            if correction.crack is not None:
                numbers.setdefault(correction.photograph, set()).add(correction.crack)
        self._crack_numbers = len(self._kept), numbers
        return numbers.get(photograph, set())

    def numbered(self, number: int) -> Correction:
        """Returns the correction with this number, which must exist."""
        return next(correction for correction in reversed(self._kept) if correction.number == number)

    def _index(self) -> tuple[int, list[Correction], dict[str, list[Correction]]]:
        """Returns the number of all corrections, those in force, and those in force by the name of their photograph."""
        known, in_force, by_name = self._indexed
        if known == len(self._kept):
            return self._indexed
        count, new = len(self._kept), self._kept[known : len(self._kept)]
        if any(correction.kind in UNDO_OR_REDO for correction in new):
            in_force, by_name, new = [], {}, active(self._kept[:count])
        by_name = dict(by_name)  # others may be reading the lists that are known so far
        for correction in new:
            by_name[correction.photograph] = [*by_name.get(correction.photograph, []), correction]
        self._indexed = count, [*in_force, *new], by_name
        return self._indexed

    def _read_line(self, line: bytes) -> None:
        """Reads a line of the file; if it is not a correction, adds a message to `faults`."""
        self._lines += 1
        try:
            self._kept.append(_correction_in(line, above=self._last))
        except (ValueError, RecursionError) as error:
            self.faults.append(f"{self.path}, line {self._lines} is not a correction and is ignored: {error}")

    @property
    def _last(self) -> int:
        return self._kept[-1].number if self._kept else 0

    def append(self, facts: Mapping[str, object]) -> Correction:
        """Writes a correction and returns it once it is on disk.

        Raises UserError if `facts` are not a valid correction, and OSError if it cannot be written; the file then stays
        unchanged.
        """
        return self.append_all([facts])[0]

    def append_all(self, entries: Sequence[Mapping[str, object]]) -> list[Correction]:
        """Writes corrections that are made at once, and returns them once all are on disk.

        Raises the errors of `append`; then none of them is written.
        """
        with self._lock:
            first = max(self._last, self._lines) + 1
            batch = {"batch": first} if len(entries) > 1 else {}
            corrections = [
                correction_of({**facts, **batch}, number=number) for number, facts in enumerate(entries, first)
            ]
            for correction in corrections:
                if correction.kind in UNDO_OR_REDO:
                    self._check_undo_or_redo(correction)
            content = b"".join(map(_line, corrections))
            self._write(content)
            self._bytes, self._lines = self._bytes + len(content), self._lines + len(corrections)
            self._kept += corrections
            return corrections

    def _finish_last_line(self, rest: bytes) -> None:
        """Completes a last line that has no line end if it is a correction, else removes it."""
        os.truncate(self.path, self._bytes)
        try:
            correction = _correction_in(rest, above=self._last)
        except (ValueError, RecursionError):
            log.warning("%s ends with an incomplete line, which was never confirmed: it is removed", self.path)
            return
        self._write(rest + b"\n")
        self._bytes, self._lines = self._bytes + len(rest) + 1, self._lines + 1
        self._kept.append(correction)

    def _check_undo_or_redo(self, correction: Correction) -> None:
        """Raises UserError for the undo of a correction that is not in force, and for the redo of one that is."""
        numbers = [other.number for other in self._kept if other.kind not in UNDO_OR_REDO]
        if correction.of not in numbers:
            raise UserError(f"{correction.kind}: there is no correction {correction.of} to {correction.kind}")
        if (correction.of in {other.number for other in self.active}) != (correction.kind == "undo"):
            raise UserError(
                f"correction {correction.of} {'is in force' if correction.kind == 'redo' else 'was undone'} already"
            )

    def _write(self, line: bytes) -> None:
        if self._bytes and not self.path.exists():  # the file was removed: rewrites all known corrections
            write_atomically(self.path, b"".join(map(_line, self._kept)))
        is_new = not self.path.exists()
        try:
            with self.path.open("ab", buffering=0) as file:
                try:
                    if file.write(line) != len(line):  # only a full disk takes a part of the line
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), self._bytes)
                    raise
            if is_new:
                _sync_folder(self.path.parent)
        except OSError as error:
            if is_full(error):
                raise OSError(error.errno, full_message(self.path.parent), str(self.path)) from error
            raise


def _line(correction: Correction) -> bytes:
    return (json.dumps(correction.facts(), ensure_ascii=True, allow_nan=False) + "\n").encode()


def _correction_in(line: bytes, *, above: int) -> Correction:
    """Returns the correction in a line. Raises ValueError or RecursionError if the line is not a correction, or if its
    number is not above `above`."""
    facts = json.loads(line)
    number = facts.get("number") if isinstance(facts, dict) else None
    if type(number) is not int or not above < number < MAX_NUMBER:
        raise UserError(f"its number is not a whole number above {above}")
    return correction_of(facts, number=number)


def _sync_folder(folder: Path) -> None:
    """Syncs a folder, so that the name of a new file is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
