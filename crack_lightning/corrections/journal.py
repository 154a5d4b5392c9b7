"""Reads and writes corrections.jsonl: a line for each correction, on disk before it is confirmed."""

import errno
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.corrections.correction import TURNING, Correction, active, correction_of
from crack_lightning.errors import UserError
from crack_lightning.system.files import full_message, is_full, write_atomically

log = logging.getLogger(__name__)

JOURNAL = "corrections.jsonl"
MOST_NUMBER = 10**9


class Journal:
    """The corrections of a project, in the order in which they were made; for one process and all of its threads.

    A line that is not a correction stays where it is and is left out; `faults` names each. A last line without an end,
    whose process was killed while writing it, was never confirmed: it is cut off, unless it is whole. `guard` is held
    by a caller that looks before it appends, so that nothing is recorded twice.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.guard, self._lock = path, threading.RLock(), threading.Lock()
        self.faults = list[str]()
        self._kept, self._lines = list[Correction](), 0
        self._indexed: tuple[int, list[Correction], dict[str, list[Correction]]] = (0, [], {})
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        self._bytes = content.rfind(b"\n") + 1
        lines, rest = content[: self._bytes].splitlines(), content[self._bytes :]
        for line in lines:
            self._keep_line(line)
        if rest:
            self._finish_last_line(rest)
        for fault in self.faults:
            log.warning("%s", fault)

    @property
    def corrections(self) -> Sequence[Correction]:
        """Returns all corrections that were ever made, undone or not."""
        return tuple(self._kept)

    @property
    def active(self) -> Sequence[Correction]:
        """Returns the corrections in force."""
        return self._index()[1]

    def of(self, photograph: str) -> Sequence[Correction]:
        """Returns the corrections in force of a photograph, by its name; for an empty name the scales of all."""
        return self._index()[2].get(photograph, [])

    def numbered(self, number: int) -> Correction:
        """Returns the correction of a number, which must exist."""
        return next(correction for correction in reversed(self._kept) if correction.number == number)

    def _index(self) -> tuple[int, list[Correction], dict[str, list[Correction]]]:
        """Returns how many corrections there are, those in force, and those of each photograph."""
        if self._indexed[0] != len(self._kept):
            count, in_force, by_name = len(self._kept), active(self._kept), dict[str, list[Correction]]()
            for correction in in_force:
                by_name.setdefault(correction.photograph, []).append(correction)
            self._indexed = count, in_force, by_name
        return self._indexed

    def _keep_line(self, line: bytes) -> None:
        """Keeps a line of the file; a line that is not a correction is a fault."""
        self._lines += 1
        try:
            self._kept.append(_read(line, above=self._last))
        except (ValueError, RecursionError) as error:
            self.faults.append(f"{self.path}, line {self._lines} is not a correction and is left out: {error}")

    @property
    def _last(self) -> int:
        return self._kept[-1].number if self._kept else 0

    def append(self, facts: Mapping[str, object]) -> Correction:
        """Writes a correction, and returns it once it is on the disk.

        Raises UserError where it is not one, and OSError where it cannot be written: the file is then as it was before.
        """
        with self._lock:
            correction = correction_of(facts, number=max(self._last, self._lines) + 1)
            if correction.kind in TURNING:
                self._check_turning(correction)
            line = _line(correction)
            self._write(line)
            self._bytes, self._lines = self._bytes + len(line), self._lines + 1
            self._kept.append(correction)
            return correction

    def _finish_last_line(self, rest: bytes) -> None:
        """Keeps a last line without an end if it is a correction, else cuts it off."""
        os.truncate(self.path, self._bytes)
        try:
            correction = _read(rest, above=self._last)
        except (ValueError, RecursionError):
            log.warning("%s ends within a line that was never confirmed: it is cut off", self.path)
            return
        self._write(rest + b"\n")
        self._bytes, self._lines = self._bytes + len(rest) + 1, self._lines + 1
        self._kept.append(correction)

    def _check_turning(self, turning: Correction) -> None:
        """Raises UserError for an undo of what is not in force, and for a redo of what is."""
        numbers = [correction.number for correction in self._kept if correction.kind not in TURNING]
        if turning.of not in numbers:
            raise UserError(f"{turning.kind}: there is no correction {turning.of} that could be taken back")
        if (turning.of in {correction.number for correction in self.active}) != (turning.kind == "undo"):
            raise UserError(
                f"correction {turning.of} {'is in force' if turning.kind == 'redo' else 'was taken back'} already"
            )

    def _write(self, line: bytes) -> None:
        if self._bytes and not self.path.exists():  # somebody removed it: all known corrections are written again
            write_atomically(self.path, b"".join(map(_line, self._kept)))
        new = not self.path.exists()
        try:
            with self.path.open("ab", buffering=0) as file:
                try:
                    if file.write(line) != len(line):
                        raise OSError(
                            errno.ENOSPC, os.strerror(errno.ENOSPC)
                        )  # a disk that takes a part of a line is full
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), self._bytes)
                    raise
            if new:
                _sync_folder(self.path.parent)
        except OSError as error:
            if is_full(error):
                raise OSError(error.errno, full_message(self.path.parent), str(self.path)) from error
            raise


def _line(correction: Correction) -> bytes:
    return (json.dumps(correction.facts(), ensure_ascii=True, allow_nan=False) + "\n").encode()


def _read(line: bytes, *, above: int) -> Correction:
    """Returns a line's correction. Raises ValueError or RecursionError where it has none numbered above `above`."""
    facts = json.loads(line)
    number = facts.get("number") if isinstance(facts, dict) else None
    if type(number) is not int or not above < number < MOST_NUMBER:
        raise UserError(f"its number is none above {above}")
    return correction_of(facts, number=number)


def _sync_folder(folder: Path) -> None:
    """Syncs a folder, so that a new file's name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
