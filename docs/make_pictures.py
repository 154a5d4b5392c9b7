"""Make the pictures of README.md, docs/correct.md and docs/inspect.md anew, by the commands that a user types.

    python docs/make_pictures.py PHOTOS METU/Negative

PHOTOS holds three whole photographs of SDNET2018 (Dorafshan, Thomas and Maguire, Utah State University, CC BY 4.0):
Walls_7125.jpg, Decks_7052.jpg and Pavements_094.jpg, put together again from their tiles; METU/Negative the sound
patches of "Concrete Crack Images for Classification" (Özgenel, Mendeley Data 5y9wdsg2zt, CC BY 4.0).
"""

import argparse
import csv
import io
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.data.synthetic.scenes import scene

DOCS = Path(__file__).parent
WALL = (0, 0, 1600, 1244)  # box_xyxy of the wall in README.md, reduced
FAILURES = {  # box_xyxy of 1,000 px
    "Decks_7052.jpg": (1420, 130, 2420, 1130),  # a hairline that is mostly missed
    "Pavements_094.jpg": (3608, 1400, 4608, 2400),  # rough texture with marks of no crack
}
SHOWN, GAP, WIDTH = 420, 6, 1280


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("sound", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        scale = ("mm_per_px=0.234", "min_length_mm=40", "overlay_px=1600")
        command("inspect", f"source={arguments.photographs}/Walls_7125.jpg", *scale, f"out={work}/w")
        command("inspect", f"source={arguments.photographs}", "overlay_px=4608", f"out={work}/i")
        command("predict", f"source={arguments.sound}", f"out={work}/p")
        pages, shown = Path(work) / "i/photographs", Path(work) / "w/photographs/Walls_7125.jpg"
        wall = [crop(shown / name, WALL, WIDTH // 2) for name in ("photograph.jpg", "overlay.png")]
        save(sheet(wall, 2), "marked-wall.jpg")
        save(page_of(arguments.photographs, Path(work) / "bridge"), "page.jpg")
        failed = list[Image.Image]()
        patches = surest(Path(work) / "p/predictions.csv", len(FAILURES))
        for (photograph, box), patch in zip(FAILURES.items(), patches, strict=True):
            failed += [crop(pages / photograph / name, box, SHOWN) for name in ("photograph.jpg", "overlay.png")]
            failed.append(Image.open(patch).resize((SHOWN, SHOWN)))
        save(sheet(failed, 3), "package-map-fails.jpg")
    save(sheet([lesson(None, 7, index).image for index in range(32)], 8), "lessons.jpg")
    save(sheet([scene(None, 7, index).image.reduce(2) for index in range(16)], 8), "scenes.jpg")


def page_of(photographs: Path, folder: Path) -> Image.Image:
    """The page over these photographs, as chromium shows it; two cracks are accepted."""
    from playwright.sync_api import sync_playwright

    port = "8768"
    options = ("open=false", f"port={port}", f"source={photographs}", "mm_per_px=0.234", "min_length_px=170")
    line = [sys.executable, "-m", "crack_lightning", "serve", *options, f"out={folder}"]
    with subprocess.Popen(line) as server, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.wait_for_timeout(10_000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#bar", state="hidden", timeout=120_000)
        page.locator(".row", has_text="Walls").click()
        page.wait_for_selector("#rows tr")
        for key in ("j", "a", "a"):
            page.keyboard.press(key)
            page.wait_for_timeout(1500)
        shot = page.screenshot()
        browser.close()
        server.send_signal(signal.SIGINT)
    return Image.open(io.BytesIO(shot)).convert("RGB")


def command(verb: str, *options: str) -> None:
    """As a user types it."""
    subprocess.run([sys.executable, "-m", "crack_lightning", verb, *options], check=True)


def crop(path: Path, box: tuple[int, int, int, int], width: int) -> Image.Image:
    """The box of a picture, `width` pixels wide."""
    part = Image.open(path).convert("RGB").crop(box)
    return part.resize((width, round(part.height * width / part.width)), Image.Resampling.LANCZOS)


def surest(table: Path, count: int) -> list[Path]:
    """The images of predictions.csv with the highest probability."""
    with table.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["probability"]))
    return [Path(row["path"]) for row in rows[:count]]


def sheet(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """The pictures in rows of `columns`."""
    width, height = (max(side) for side in np.transpose([picture.size for picture in pictures]))
    rows = -(-len(pictures) // columns)
    found = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for number, picture in enumerate(pictures):
        found.paste(picture, ((number % columns) * (width + GAP), (number // columns) * (height + GAP)))
    return found


def save(picture: Image.Image, name: str) -> None:
    """In docs/, small enough for a page."""
    picture.thumbnail((WIDTH, WIDTH))
    picture.save(DOCS / name, quality=82, optimize=True)


if __name__ == "__main__":
    main()
