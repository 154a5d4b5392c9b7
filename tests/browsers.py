"""Chromium, headless, and the real server behind it."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from walls import wall


def settle(page: Any, script: str) -> None:
    """Wait until an expression is true; the page's policy lets playwright's own way of that not in."""
    end_s = time.monotonic() + 60
    while not page.evaluate(script):
        assert time.monotonic() < end_s, script
        page.wait_for_timeout(50)


class Shown:
    """A browser's page over a served project."""

    def __init__(self, page: Any, served: Any) -> None:
        self.page, self.served = page, served

    def settled(self, script: str) -> None:
        settle(self.page, script)

    def marked(self) -> None:
        """Wait until the open photograph has cracks."""
        self.settled("document.querySelectorAll('#rows tr').length > 0")

    def states(self) -> list[str]:
        return list(self.page.locator("#rows td:last-child").all_inner_texts())

    def corrections(self) -> list[dict[str, Any]]:
        path = self.served.project.folder / "corrections.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the photograph lies on the screen."""
        box = self.page.locator("#canvas").bounding_box()
        script = "async () => { const m = await import('/assets/viewer.js'); return m.camera }"
        camera = self.page.evaluate(script)
        return box["x"] + (x - camera["x"]) * camera["scale"], box["y"] + (y - camera["y"]) * camera["scale"]

    def drag(self, points: list[tuple[float, float]]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=8)
        mouse.up()


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, composed: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    from crack_lightning.page.server import PageServer

    started = list[tuple[Any, threading.Thread]]()
    problems = list[str]()

    def opened(*overrides: str, size: tuple[int, int] = (1280, 800)) -> Shown:
        options, folder = composed("serve", ["port=0", "open=false", *overrides], run="bridge")
        served = PageServer(options, folder)
        thread = threading.Thread(target=served.run)
        thread.start()
        started.append((served, thread))
        viewport = {"width": size[0], "height": size[1]}
        page = browser.new_context(viewport=viewport, accept_downloads=True).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        refused = "the server responded with a status of 400"  # what the page says in words of its own
        page.on(
            "console",
            lambda said: problems.append(said.text) if said.type == "error" and refused not in said.text else None,
        )
        page.goto(served.address)
        return Shown(page, served)

    yield opened
    for served, thread in started:
        served.stop()
        thread.join(120)  # a busy machine takes longer to end what is being computed
        assert not thread.is_alive()
    assert not problems


@pytest.fixture
def walls(tmp_path: Path) -> list[Path]:
    (tmp_path / "walls").mkdir()
    paths = [tmp_path / f"walls/{name}.png" for name in ("one", "two", "<img src=x onerror=alert(1)>")]
    for number, path in enumerate(paths):
        wall(700 + 40 * number, 500).save(path)
    return paths


INSPECTED = "document.querySelectorAll('.row .cracked, .row .sound, .row .review').length === %d"
# Whether a crack of the open photograph has this state.
SOME = "[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === '%s')"
