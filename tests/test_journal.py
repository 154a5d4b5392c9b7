"""The journal of corrections: on disk before it is confirmed, whatever is killed, full or forged."""

import errno
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from crack_lightning.corrections import journal as journals
from crack_lightning.corrections.correction import correction_of
from crack_lightning.corrections.journal import Journal
from crack_lightning.corrections.undoing import active
from crack_lightning.errors import UserError

NAME = "wall.jpg"

REJECT = {"kind": "reject", "photograph": NAME, "lines": [[[1.0, 2.0], [30.0, 40.0]]], "by": "Ayşe"}


def test_a_correction_is_on_disk_before_it_is_confirmed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "corrections.jsonl")
    made = journal.append(REJECT)
    again = Journal(tmp_path / "corrections.jsonl").corrections[0]
    assert (again.number, again.by, again.time) == (1, "Ayşe", made.time)
    assert correction_of(made.facts(), number=1).facts() == made.facts()
    for wrong in ({"kind": "undo", "of": 5}, {"kind": "redo", "of": 1}, {"kind": "undo", "of": 0}):
        with pytest.raises(UserError, match=r"no correction|in force already"):
            journal.append(wrong)
    journal.append({"kind": "undo", "of": 1})
    for wrong in ({"kind": "undo", "of": 1}, {"kind": "undo", "of": 2}, {"kind": "redo", "of": 2}):
        with pytest.raises(UserError, match=r"was undone already|no correction 2 to"):
            journal.append(wrong)
    journal.append({"kind": "redo", "of": 1})
    assert [one.number for one in active(journal.corrections)] == [1]


def test_a_journal_that_was_removed_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    journal = Journal(path)
    journal.append(REJECT)
    path.unlink()
    journal.append(REJECT)
    assert len(Journal(path).corrections) == 2


def test_a_torn_last_line_was_never_confirmed_and_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    Journal(path).append(REJECT)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"number": 2, "ki')
    journal = Journal(path)
    assert (len(journal.corrections), path.read_bytes()) == (1, whole)
    path.write_bytes(whole[:-1])  # as an editor may have it
    assert (len(Journal(path).corrections), path.read_bytes()) == (1, whole)
    journal = Journal(path)
    assert journal.append(REJECT).number == 2
    assert len(Journal(path).corrections) == 2


FORGED = {
    "no JSON": b"no json",
    "no kind": b'{"number": 2}',
    "a list": b"[1]",
    "no text": b"\xff",
    "deep": b"[" * 100_000,
    "numbers as texts": b'{"number": 2, "kind": "reject", "photograph": "a", "lines": [[["1", "2"], ["3", "4"]]]}',
    "out of any picture": b'{"number": 2, "kind": "reject", "photograph": "a", "lines": [[[1e12, 2], [3, 4]]]}',
    "no points": b'{"number": 2, "kind": "reject", "photograph": "a", "lines": [[]]}',
    "a number again": b'{"number": 1, "kind": "undo", "of": 1}',
    "a forged feature": b'{"number": 2, "kind": "accept", "photograph": "a", "lines": [[[1, 2]]], "feature": {"a": 1}}',
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_damaged_line_is_named_and_left_out(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "corrections.jsonl"
    Journal(path).append(REJECT)
    whole = path.read_bytes() + FORGED[kind] + b"\n"
    path.write_bytes(whole)
    journal = Journal(path)
    (fault,) = journal.faults
    assert "corrections.jsonl, line 2 is not a correction and is ignored: " in fault
    assert journal.append(REJECT).number == 3
    assert path.read_bytes().startswith(whole)  # nothing is lost
    assert [one.number for one in Journal(path).active] == [1, 3]
    journal.append({"kind": "undo", "of": 3})
    assert [one.number for one in Journal(path).of(NAME)] == [1]


def test_a_full_disk_takes_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "corrections.jsonl"
    journal = Journal(path)
    journal.append(REJECT)
    whole = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals.os, "fsync", full)
    with pytest.raises(OSError, match="no room is left"):
        journal.append(REJECT)
    assert (path.read_bytes(), len(journal.corrections)) == (whole, 1)
    monkeypatch.undo()
    assert journal.append(REJECT).number == 2


def test_threads_at_once_lose_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "corrections.jsonl")
    threads = [threading.Thread(target=lambda: [journal.append(REJECT) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = Journal(tmp_path / "corrections.jsonl").corrections
    assert [one.number for one in kept] == list(range(1, 81))


def _write(path: Path, told: Any) -> None:
    journal = Journal(path)
    while True:
        told.send(journal.append(REJECT).number)


def test_a_kill_while_correcting_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    path, context = tmp_path / "corrections.jsonl", multiprocessing.get_context("spawn")
    for _ in range(3):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_write, args=(path, sender))
        process.start()
        sender.close()
        last = 0
        for _ in range(25):
            last = receiver.recv()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        while True:
            try:
                last = receiver.recv()
            except EOFError:
                break
        assert len(Journal(path).corrections) >= last
