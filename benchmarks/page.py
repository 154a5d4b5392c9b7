"""The inspector's page: from a drop to marked cracks, scrolling through 500 photographs, and the server's memory.

    python benchmarks/page.py first PHOTOGRAPH.jpg [--times 5]
    python benchmarks/page.py frames [--count 500]
    python benchmarks/page.py memory PHOTOGRAPHS

first: seconds from the drop until lines are drawn (a first look at a reduced size, for photographs of more than 4
megapixels) and until the whole photograph is inspected, with a server that runs already. frames: the time between two
frames while the list of small drawn photographs is scrolled, against an empty page of the same browser. memory: the
largest resident size of the server while it inspects a folder, and the size at its end. Needs the extras page and
browser, and chromium.
"""

import argparse
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

PORT = 8791
ADDRESS = f"http://127.0.0.1:{PORT}/"
SCROLL = """async () => {
  const list = document.querySelector("#list") ?? document.documentElement, gaps = [];
  let last = await new Promise(requestAnimationFrame);
  for (let step = 0; step < 400; step++) {
    list.scrollTop += 60;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}"""
LOOKS = """async () => {
  const { state } = await import("/assets/state.js");
  const waiting = state.project.photographs.filter((each) => each.verdict === "waiting").length;
  return [Object.keys(state.looks).length, waiting, state.project.photographs.length];
}"""


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers."""
    line = [sys.executable, "-m", "crack_lightning", "serve", "open=false", f"port={PORT}", f"out={folder}"]
    with subprocess.Popen([*line, *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        while True:
            with contextlib.suppress(OSError):
                asked("project")
                break
            time.sleep(0.2)
        yield server
        server.send_signal(signal.SIGINT)


def asked(what: str) -> Any:
    """What the server answers."""
    with urllib.request.urlopen(f"{ADDRESS}api/{what}") as answer:
        return json.load(answer)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A page of chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened.new_page(viewport={"width": 1280, "height": 800})
        opened.close()


def first(photograph: Path, times: int) -> None:
    """A row of the table."""
    looks, wholes = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "project"), browser() as page:
        for number in range(times):
            page.goto(ADDRESS)
            page.wait_for_timeout(1500)
            page.keyboard.press("o")
            copy = Path(folder) / f"{number}{photograph.suffix}"
            copy.write_bytes(photograph.read_bytes() + bytes([number]))  # the same bytes would be the same photograph
            began_s, look = time.perf_counter(), None
            page.set_input_files("#files", [str(copy)])
            while True:
                seen, waiting, there = page.evaluate(LOOKS)
                if look is None and seen:
                    look = time.perf_counter() - began_s
                if there > number and not waiting:
                    break
                page.wait_for_timeout(20)
            wholes.append(time.perf_counter() - began_s)
            looks.append(look if look is not None else wholes[-1])
    print("| | median | from | to |\n|---|---|---|---|")
    for name, seconds in (("first lines", looks), ("inspected whole", wholes)):
        print(f"| {name}, s | {median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |")


def frames(count: int) -> None:
    """Two rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photographs"
        source.mkdir()
        for number in range(count):
            levels = np.random.default_rng(number).normal(140, 9, (120, 160, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(levels).save(source / f"{number:04d}.jpg")
        with served(Path(folder) / "project", f"source={source}"), browser() as page:
            while asked("project")["progress"]["waiting"]:
                time.sleep(1)
            page.goto("about:blank")
            page.set_content("<div style='height: 40000px'></div>")
            empty = page.evaluate(SCROLL)
            page.goto(ADDRESS)
            page.wait_for_timeout(4000)
            shown = page.evaluate(SCROLL)
    print("| scrolled | frame, median ms | 95 of 100 within | longer than 33 ms |\n|---|---|---|---|")
    for name, gaps in (("an empty page", empty), (f"{count} photographs", shown)):
        late = np.mean(np.array(gaps) > 33.4)
        print(f"| {name} | {median(gaps):.1f} | {np.percentile(gaps, 95):.1f} | {late:.1%} |")


def memory(source: Path) -> None:
    """Two figures."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "project", f"source={source}") as server:
        while True:
            progress = asked("project")["progress"]
            lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
            sizes = {
                line.split(":")[0]: int(line.split()[1]) / 2**20
                for line in lines
                if line.startswith(("VmHWM", "VmRSS"))
            }
            print(
                f"{progress['done']} inspected: {sizes['VmRSS']:.2f} GiB, at most {sizes['VmHWM']:.2f} GiB", flush=True
            )
            if not progress["waiting"]:
                return
            time.sleep(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    command = commands.add_parser("first")
    command.add_argument("photograph", type=Path)
    command.add_argument("--times", type=int, default=5)
    commands.add_parser("frames").add_argument("--count", type=int, default=500)
    commands.add_parser("memory").add_argument("photographs", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "first":
        first(arguments.photograph, arguments.times)
    elif arguments.what == "frames":
        frames(arguments.count)
    else:
        memory(arguments.photographs)


if __name__ == "__main__":
    main()
