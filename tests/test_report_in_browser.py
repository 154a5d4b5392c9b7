"""The report of an inspection in a real browser: chromium, headless, from a file, without a network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from PIL import Image
from verbs import inspect

pytestmark = pytest.mark.browser


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 800}, offline=True)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("requestfailed", lambda request: page.problems.append(request.url[:200]))
        yield page
        browser.close()


def test_a_person_can_sort_filter_and_compare(
    page: Any, checkpoint: Path, composed: Callable[..., DictConfig], surfaces: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for number, path in enumerate(sorted(surfaces.rglob("*.jpg"))[:3]):
        Image.open(path).resize((240, 160)).save(site / f"a 'wall' #{number}%.jpg")
    (site / "broken.jpg").write_text("no image")
    options = [f"ckpt_path={checkpoint}", f"source={site}", "engine=eager", "mm_per_px=0.5"]
    with pytest.raises(SystemExit):
        inspect(*composed("inspect", options, run="inspected"))
    page.goto((tmp_path / "inspected/report.html").as_uri())
    assert page.locator("#count").inner_text() == "4 of 4"
    page.fill("#find", "#1")
    assert page.locator("#count").inner_text() == "1 of 4"
    page.fill("#find", "")
    page.select_option("#kind", "error")
    assert page.locator("tbody tr:visible").count() == 1
    page.select_option("#kind", "")
    for descending in (False, True):
        page.click("th:has-text('photograph') button")
        names = [name.split("\n")[0] for name in page.locator("tbody td.path").all_inner_texts()]
        assert names == sorted(names, reverse=descending)
    page.click("th:has-text('highest probability') button")
    cells = page.locator("tbody td[data-name='highest probability']")
    peaks = [float(text) for text in cells.all_inner_texts() if text]
    assert peaks == sorted(peaks, reverse=True)
    page.click("th:has-text('photograph') button")
    page.check("#pictures")
    page.wait_for_function("[...document.querySelectorAll('td img')].every(i => i.complete && i.naturalWidth == 240)")
    page.fill("#find", "#1")
    page.fill("#find", "")  # those that come back are large again
    page.wait_for_function("[...document.querySelectorAll('td img')].every(i => i.complete && i.naturalWidth == 240)")
    page.uncheck("#pictures")
    page.locator("tbody tr", has_text="#2%").click()
    page.wait_for_function("document.getElementById('over').complete && document.getElementById('under').complete")
    widths = page.evaluate("['over','under'].map(k => document.getElementById(k).naturalWidth)")
    assert widths == [240, 240]
    page.evaluate("const s=document.getElementById('slide'); s.value=60; s.dispatchEvent(new Event('input'))")
    assert "60%" in page.evaluate("document.getElementById('over').style.clipPath")
    page.set_viewport_size({"width": 1100, "height": 300})  # lower than the photograph
    box, stage = (page.locator(f"#{name}").bounding_box() for name in ("under", "stage"))
    assert box["height"] <= stage["height"]
    assert box["width"] <= stage["width"]
    page.set_viewport_size({"width": 1100, "height": 800})
    page.click("#stage")
    assert page.evaluate("document.getElementById('under').getBoundingClientRect().width") == 240  # as it is
    page.click("#stage")
    page.keyboard.press("ArrowUp")
    assert page.locator("#name").inner_text().startswith("a 'wall' #1%.jpg")
    assert "60%" in page.evaluate("document.getElementById('over').style.clipPath")  # as it was left
    page.click("text=next")
    assert page.locator("#name").inner_text().startswith("a 'wall' #2%.jpg")
    assert page.locator("#name").inner_text().endswith("(3 of 3)")
    page.click("text=next")  # the last one; behind it is the file that cannot be read
    page.keyboard.press("Escape")
    assert not page.locator("#view").is_visible()
    page.locator("tbody tr").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#view").is_visible()
    assert page.problems == []
