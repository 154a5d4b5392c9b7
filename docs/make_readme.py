"""python docs/make_readme.py: writes into README.md what its commands and its lines of Python print.

A `console` block has commands behind `$`: they are run one after the other in a folder of drawn walls, and what each
prints takes the place of what stood below it. In the `python` block what a `print` writes follows it as a comment.
Times and the folder are replaced by such as a reader has. A test compares the page with what is printed now.
"""

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
HOME = "/home/ada"
WALLS = "generate walls count=4 size_px=1200"  # what the page tells the reader to draw


def crack(words: str, folder: Path) -> str:
    """Returns what `crack WORDS` prints when it runs in `folder`; `serve` is ended when its page can be opened."""
    serves = words.startswith("serve")
    extra = ["open=false", "port=0"] if serves else []
    line = [sys.executable, "-m", "crack_lightning", *shlex.split(words), *extra]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / ".cache")}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": folder, "env": environment}
    with subprocess.Popen(line, **pipe) as process:  # type: ignore[call-overload]
        lines = []
        for text in process.stdout:
            lines.append(text)
            if serves and "the page is at" in text:
                process.send_signal(signal.SIGTERM)
                break
        process.stdout.read()
    if not serves and process.returncode:
        raise SystemExit(f"crack {words} ended with {process.returncode}: {''.join(lines)}")
    return "".join(lines)


def as_a_reader_has_it(text: str, folder: Path) -> str:
    """Returns what was printed with the time, the folder and the port that stand for a reader's."""
    text = text.replace(str(folder), HOME)
    text = re.sub(r"^\d\d:\d\d:\d\d ", "09:00:00 ", text, flags=re.MULTILINE)
    return re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:8765", text)


def with_output(block: str, folder: Path) -> str:
    """Returns a console block with what its commands print now."""
    commands = [line for line in block.splitlines() if line.startswith("$ ")]
    parts = []
    for command in commands:
        parts.append(f"{command}\n{as_a_reader_has_it(crack(command.removeprefix('$ crack '), folder), folder)}")
    return "".join(parts)


def with_results(block: str, folder: Path) -> str:
    """Returns a Python block with what each of its prints writes now, behind it."""
    lines, names = [], {}  # type: list[str], dict[str, object]
    before = Path.cwd()
    os.chdir(folder)
    try:
        for line in block.splitlines():
            code = line.partition("  # ")[0].rstrip()
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, names)  # the page's own line
            lines.append(f"{code}  # {printed.getvalue().strip()}" if printed.getvalue() else line)
    finally:
        os.chdir(before)
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """Returns the page with what its blocks print now."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        crack(WALLS, folder)
        text = re.sub(
            r"(```console\n)(.*?)(```)",
            lambda block: block[1] + with_output(block[2], folder) + block[3],
            text,
            flags=re.DOTALL,
        )
        return re.sub(
            r"(```python\n)(.*?)(```)",
            lambda block: block[1] + with_results(block[2], folder) + block[3],
            text,
            flags=re.DOTALL,
        )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    README.write_text(page(README.read_text("utf-8")), "utf-8")
