"""What a machine may lack, and what must not leave it."""

import contextlib
import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crack_lightning.cli.messages import message
from crack_lightning.system.logs import LogFile, ShowableFormatter
from crack_lightning.system.option_groups import CONF

REPOSITORY = CONF.parent
# Raised instead of asking for a host, from whatever part of Python.
NO_NAMES = """
import socket
def refused(*_, **__): raise AssertionError("a name was looked up")
socket.getaddrinfo = socket.gethostbyname = refused
"""


@pytest.mark.slow
def test_a_prediction_contacts_no_host_and_writes_nothing_elsewhere(
    checkpoint: Path, surfaces: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/sitecustomize.py").write_text(NO_NAMES)
    (tmp_path / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/cache")}
    environment |= {"PYTHONPATH": f"{tmp_path}/own", "PYTHONWARNINGS": "ignore"}
    words = [
        f"ckpt_path={checkpoint}",
        f"source={surfaces}/Negative",
        "engine=onnxruntime",
        f"hydra.run.dir={tmp_path}/run",
    ]
    line = [sys.executable, "-m", "crack_lightning", "predict", *words]
    result = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "a name was looked up" not in result.stderr
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and "matplotlib" not in str(path)]
    assert left == [], "ONNX Runtime leaves the id of the device where it reports its use"


def test_log_lines_can_be_shown_whatever_names_they_hold(tmp_path: Path) -> None:
    handler = LogFile(str(tmp_path / "run.log"))
    handler.setFormatter(ShowableFormatter("%(message)s"))
    name = os.fsdecode(b"Br\xfccke\r")
    handler.handle(logging.LogRecord("x", logging.INFO, "", 0, "%s\nnext", (name,), None))
    handler.close()
    assert (tmp_path / "run.log").read_text(encoding="utf-8") == "Br\\xfccke\\r\nnext\n"


def test_a_log_on_a_full_disk_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    handler = LogFile("/dev/full")
    handler.handle(logging.LogRecord("x", logging.INFO, "", 0, "text", (), None))
    assert capfd.readouterr().err == ""
    with contextlib.suppress(OSError):
        handler.close()


def test_a_full_disk_is_reported_with_its_folder(tmp_path: Path) -> None:
    bare = OSError(errno.ENOSPC, "No space left on device")
    assert message(bare, folder=tmp_path).startswith(f"no room is left in {tmp_path} (")
    named = OSError(errno.ENOSPC, "No space left on device", f"{tmp_path}/x/y.png")
    assert message(named, folder=Path("/")).startswith(f"no room is left in {tmp_path}/x (")
