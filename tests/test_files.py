import errno
import os
import socket
from pathlib import Path

import pytest

from crack_lightning.system.files import expanded, not_a_file, replacing, short_name, write_atomically, write_csv


def test_irregular_files_are_reported_without_opening_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)  # the name of a socket may not be long
        server.bind("s.jpg")
        found = {path.stem: not_a_file(path) for path in tmp_path.iterdir()}
    assert found == {
        "pipe": "a named pipe, not a file",
        "link": "a named pipe, not a file",
        "gone": f"broken link to {tmp_path}/nowhere",
        "folder": "a folder, not a file",
        "empty": "empty (0 bytes)",
        "device": "a device, not a file",
        "s": "a socket, not a file",
    }
    assert not_a_file(Path(__file__)) is None


def test_a_write_that_fails_leaves_the_older_file_whole(tmp_path: Path) -> None:
    path = tmp_path / ("b" * 250)
    write_atomically(path, b"older")
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_bytes(path.read_bytes() * (1 // 0))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"older"


def test_who_reads_meanwhile_has_the_older_file_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", b"older, and longer")
    with (tmp_path / "x").open("rb") as reader:
        write_atomically(tmp_path / "x", b"newer")
        assert reader.read() == b"older, and longer"
    assert (tmp_path / "x").read_bytes() == b"newer"


def test_a_full_disk_is_named_with_the_remedy(tmp_path: Path) -> None:
    text = r"no room is left in .*\(\d+ MiB free\): make room there, or give"
    with pytest.raises(OSError, match=text) as caught, replacing(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_long_name_is_cut_and_stays_unique() -> None:
    one, other = ("é" * 125 + letter for letter in "ab")
    short = [short_name(f"site/{name}") for name in (one, other)]
    assert len(set(short)) == 2
    assert all(len(os.fsencode(name)) <= 210 and name.startswith("site/é") for name in short)
    assert short_name("site/short.jpg") == "site/short.jpg"
    assert len(os.fsencode(short_name(os.fsdecode(b"\xff" * 300)))) <= 255


def test_a_carriage_return_in_a_name_ends_no_line(tmp_path: Path) -> None:
    import csv

    write_csv(tmp_path / "t.csv", ["path", "note"], [["a\rb", "x"], ["c", "y"]])
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["path", "note"], ["a\rb", "x"], ["c", "y"]]


def test_a_user_without_a_home_gets_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(FileNotFoundError, match="has no home folder: write the path out, or set HOME"):
        expanded("~/photos")
