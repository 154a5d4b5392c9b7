"""The inspector's page: from a drop to marked cracks, scrolling through 500 photographs, and the server's memory.

    python benchmarks/page.py first PHOTOGRAPH.jpg [--times 5]
    python benchmarks/page.py frames [--count 500]
    python benchmarks/page.py memory PHOTOGRAPHS
    python benchmarks/page.py day [--photographs 2000] [--corrected 400] [--corrections 3000]

first: seconds from the drop until lines are drawn (a first look at a reduced size, for photographs of more than 4
megapixels) and until the whole photograph is inspected, with a server that runs already. frames: the time between two
frames while the list of small drawn photographs is scrolled, against an empty page of the same browser. memory: the
largest resident size of the server while it inspects a folder, and the size at its end. day: what a key, the list, a
new threshold and "what next" cost in a large project of drawn photographs. Needs the extras page and browser, and
chromium.
"""

import argparse
import contextlib
import json
import os
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
from page_project import THRESHOLD, project_folder
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


def day(photographs: int, corrected: int, corrections: int) -> None:
    """The rows of a table."""
    with tempfile.TemporaryDirectory() as folder:
        print("| | |\n|---|---|")
        for few in (1, corrected):
            place = project_folder(Path(folder) / str(few), photographs, few, corrections * few // corrected)
            with served(place / "project", f"source={place / 'site'}", f"threshold={THRESHOLD}") as server:
                began_s = time.perf_counter()
                while asked("project")["progress"]["waiting"] or any(row["computing"] for row in listed()):
                    time.sleep(1)
                say((f"rows computed at the start, {few} corrected, s", f"{time.perf_counter() - began_s:.0f}"))
                say(*keys(server, few))
                if few == corrected:
                    say(("project list, ms", spread([timed("project") for _ in range(9)])))
                    say(("what next, first and later, ms", f"{timed('places'):.0f}, {timed('places'):.0f}"))
                    say(*four_keys())
                    say(*threshold())


def say(*rows: tuple[str, str]) -> None:
    for name, value in rows:
        print(f"| {name} | {value} |", flush=True)


def listed() -> list[dict[str, Any]]:
    return list(asked("project")["photographs"])


def timed(what: str) -> float:
    began_s = time.perf_counter()
    asked(what)
    return 1000 * (time.perf_counter() - began_s)


def spread(values: list[float]) -> str:
    return f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def sent(what: str, facts: dict[str, Any]) -> Any:
    """What the server answers to a post."""
    body = json.dumps(facts).encode()
    request = urllib.request.Request(f"{ADDRESS}api/{what}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def cpu_ms(server: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")")[1].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keys(server: subprocess.Popen[bytes], corrected: int) -> list[tuple[str, str]]:
    """What a key costs the server: one request each, in a photograph without corrections."""
    key = listed()[-1]["key"]
    shown = asked(f"photographs/{key}")
    marks, revision = [crack["id"] for crack in shown["cracks"]], shown["revision"]
    costs, times = list[float](), list[float]()
    time.sleep(5)  # a person looks before the first key
    for crack in marks[:30]:
        before, began_s = cpu_ms(server), time.perf_counter()
        facts = {"key": key, "kind": "reject", "crack": crack, "revision": revision, "window": "benchmark"}
        revision = sent("corrections", facts)["photograph"]["revision"]
        times.append(1000 * (time.perf_counter() - began_s))
        costs.append(cpu_ms(server) - before)
    name = f"of {len(marks)} marks, {corrected} photographs corrected"
    return [
        (f"a key, answer, ms, {name}", spread(times)),
        (f"the first key, the server's CPU, ms, {name}", f"{costs[0]:.0f}"),
        (f"a later key, the server's CPU, ms, {name}", f"{np.mean(costs[1:]):.0f}"),
    ]


def four_keys() -> list[tuple[str, str]]:
    """How many of four keys that are pressed 0.1 s apart accept, and how many requests they make."""
    with browser() as page:
        asked_for = list[str]()
        page.goto(ADDRESS)
        page.wait_for_timeout(4000)
        page.evaluate("() => document.querySelector('.row:nth-last-child(2)').click()")
        page.wait_for_timeout(3000)
        before = sum(row["corrections"] for row in listed())
        page.keyboard.press("j")
        page.wait_for_timeout(500)
        page.on("request", lambda request: asked_for.append(request.url))
        for _ in range(4):
            page.keyboard.press("a")
            page.wait_for_timeout(100)
        page.wait_for_timeout(2000)
        done = sum(row["corrections"] for row in listed()) - before
        requests = [url for url in asked_for if "/api/" in url and "tiles" not in url]
    return [("four keys 0.1 s apart accept", str(done)), ("requests for them", str(len(requests)))]


def threshold() -> list[tuple[str, str]]:
    """How long a threshold takes that is tried, then kept, as in the page: in the open photograph and in the list."""
    key, tried = listed()[0]["key"], THRESHOLD + 0.1
    began_s = time.perf_counter()
    while asked(f"photographs/{key}?threshold={tried}")["computing"]:
        time.sleep(0.05)
    tried_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    sent("settings", {"threshold": tried, "key": key})
    waits = [timed("project")]
    while asked(f"photographs/{key}")["computing"]:
        waits.append(timed("project"))
    opened_s = time.perf_counter() - began_s
    while time.perf_counter() - began_s < 20:
        waits.append(timed("project"))
        time.sleep(0.2)
    return [
        ("a threshold is tried in the open photograph, s", f"{tried_s:.1f}"),
        ("it is kept: the open photograph follows, s", f"{opened_s:.1f}"),
        ("it is kept: list while all photographs follow, ms", spread(waits)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    command = commands.add_parser("first")
    command.add_argument("photograph", type=Path)
    command.add_argument("--times", type=int, default=5)
    commands.add_parser("frames").add_argument("--count", type=int, default=500)
    commands.add_parser("memory").add_argument("photographs", type=Path)
    command = commands.add_parser("day")
    for name, value in (("photographs", 2000), ("corrected", 400), ("corrections", 3000)):
        command.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    if arguments.what == "first":
        first(arguments.photograph, arguments.times)
    elif arguments.what == "frames":
        frames(arguments.count)
    elif arguments.what == "day":
        day(arguments.photographs, arguments.corrected, arguments.corrections)
    else:
        memory(arguments.photographs)


if __name__ == "__main__":
    main()
