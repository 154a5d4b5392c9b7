"""corrections.jsonl: a line for each correction, on disk before anyone is told that it is there."""

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


class Journal:
    """The corrections of a project, in the order in which they were made; for one process and all of its threads.

    A last line without an end, whose process was killed while writing it, was never confirmed: it is cut off, unless it
    is whole.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError that names a line that is no correction."""
        self.path, self._lock = path, threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        self._bytes = content.rfind(b"\n") + 1
        lines, rest = content[: self._bytes].splitlines(), content[self._bytes :]
        self._kept = [_read(path, number, line) for number, line in enumerate(lines, 1)]
        if rest:
            self._mend(rest)

    @property
    def corrections(self) -> Sequence[Correction]:
        """All that were ever made, taken back or not."""
        return tuple(self._kept)

    def append(self, facts: Mapping[str, object]) -> Correction:
        """Write a correction, and return it once it is on the disk.

        Raises UserError for what is none, and OSError where it cannot be written: the file is then as it was before.
        """
        with self._lock:
            made = correction_of(facts, number=len(self._kept) + 1)
            if made.kind in TURNING:
                self._check_turning(made)
            line = _line(made)
            self._write(line)
            self._bytes += len(line)
            self._kept.append(made)
            return made

    def _mend(self, rest: bytes) -> None:
        """Keep a last line without an end if it is a correction, else cut it off."""
        os.truncate(self.path, self._bytes)
        try:
            made = _read(self.path, len(self._kept) + 1, rest)
        except UserError:
            log.warning("%s ends within a line that was never confirmed: it is cut off", self.path)
            return
        self._write(rest + b"\n")
        self._bytes += len(rest) + 1
        self._kept.append(made)

    def _check_turning(self, made: Correction) -> None:
        """Raise UserError for an undo of what is not in force, and for a redo of what is."""
        numbers = [one.number for one in self._kept if one.kind not in TURNING]
        if made.of not in numbers:
            raise UserError(f"{made.kind}: there is no correction {made.of} that could be taken back")
        if (made.of in {one.number for one in active(self._kept)}) != (made.kind == "undo"):
            raise UserError(
                f"correction {made.of} {'is in force' if made.kind == 'redo' else 'was taken back'} already"
            )

    def _write(self, line: bytes) -> None:
        if self._bytes and not self.path.exists():  # somebody removed it: what is known is written again
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


def _line(made: Correction) -> bytes:
    return (json.dumps(made.facts(), ensure_ascii=True, allow_nan=False) + "\n").encode()


def _read(path: Path, number: int, line: bytes) -> Correction:
    try:
        facts = json.loads(line)
        if not isinstance(facts, dict) or facts.get("number") != number:
            raise UserError(f"it is not number {number}")
        return correction_of(facts, number=number)
    except ValueError as error:
        raise UserError(
            f"{path}, line {number} is no correction ({error}): mend or remove the line, numbers count from 1, or give "
            "another hydra.run.dir=FOLDER"
        ) from error


def _sync_folder(folder: Path) -> None:
    """So that a new file's name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
