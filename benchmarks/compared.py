"""How well a marker gives the scale, and two photographs of one place the changes of its cracks.

    python benchmarks/compared.py marker [--count 40]                       upright and tilted
    python benchmarks/compared.py changes PHOTOGRAPHS ... [--count 20]      one crack grows, one is new
    python benchmarks/compared.py same PHOTOGRAPHS ... [--count 20]         smaller, turned, in other light: nothing is

PHOTOGRAPHS are folders.
"""

import argparse
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from drawn_lines import with_crack
from measured import CLEARANCE_PX, Inspector, clear_line, files_of, window
from PIL import Image, ImageEnhance
from scipy.spatial import cKDTree

from crack_lightning.data.images.reading import read_image
from crack_lightning.errors import UserError
from crack_lightning.measurement.alignment import align, detect_keypoints
from crack_lightning.measurement.changes import changes_of
from crack_lightning.measurement.cracks import Crack
from crack_lightning.measurement.markers import marker_scale
from crack_lightning.measurement.resolution import View, ViewedCrack

Array = np.ndarray


def marker(options: argparse.Namespace) -> None:
    """A printed marker of 50 mm under a camera at one metre: error of mm_per_px."""
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    sheet = np.full((900, 900), 255, np.uint8)
    sheet[150:750, 150:750] = cv2.aruco.generateImageMarker(family, 7, 600)
    for tilt in (0, 15, 30):
        errors = []
        for number in range(options.count):
            rng = np.random.default_rng([3, tilt, number])
            axis, focal = rng.uniform(0, np.pi), 3000.0
            turn, _ = cv2.Rodrigues(np.array([math.cos(axis), math.sin(axis), 0]) * math.radians(tilt))
            camera = np.array([[focal, 0, 1000], [0, focal, 750], [0, 0, 1]])
            mm = 50 / 600
            plane = np.array([[mm, 0, -450 * mm], [0, mm, -450 * mm], [0, 0, 1]])
            matrix = camera @ np.column_stack([turn[:, 0], turn[:, 1], [0, 0, 1000.0]]) @ plane
            picture = cv2.warpPerspective(sheet, matrix, (2000, 1500), flags=cv2.INTER_AREA, borderValue=180)
            noisy = cv2.GaussianBlur(picture, (0, 0), 0.8) + rng.normal(0, 3, picture.shape)
            scale = marker_scale(np.clip(noisy, 0, 255).astype(np.uint8), 50.0)
            errors.append(abs(scale.mm_per_px / (1000 / focal) - 1))
        print(f"tilt {tilt}: median error {np.median(errors):.4f}, largest {np.max(errors):.4f} of {options.count}")


def changes(options: argparse.Namespace) -> None:
    """A crack that stays, one that grows by a fifth, a new one; other light, turned by 5 degrees, 1.2 times nearer."""
    inspector, paths, right = Inspector(), files_of(options.folders), 0
    done = 0
    for number in range(10 * options.count):
        rng = np.random.default_rng([4, number])
        picture = window(rng, paths[number % len(paths)])
        lines = _three_lines(rng, inspector.cracks(picture), picture.shape[1::-1])
        if lines is None:
            continue
        looks = [{"width": rng.uniform(3, 8), "contrast": rng.uniform(0.5, 0.8), "blur": 0.6} for _ in lines]
        grown = lines[1][: round(len(lines[1]) / 1.2)]
        before, after = picture, picture
        for line, look in zip((lines[0], grown), looks, strict=False):
            before = with_crack(before, line, **look)
        for line, look in zip(lines, looks, strict=True):
            after = with_crack(after, line, **look)
        later = _photographed_again(cv2, rng, after)
        done += 1
        kinds = _kinds(inspector, before, later)
        right += kinds == ["longer", "new"]
        print(f"{paths[number % len(paths)].name}: {', '.join(kinds) or 'nothing'}", flush=True)
        if done == options.count:
            break
    print(f"both named and no other: {right} of {done}")


def _three_lines(rng: np.random.Generator, marked: Sequence[Crack], size: tuple[int, int]) -> list[Array] | None:
    """Lines that are far from each other, within what both photographs show."""
    lines, known = list[Array](), list(marked)
    for _ in range(60):
        line = clear_line(rng, known, size, rng.uniform(200, 330))
        inside = line is not None and (np.abs(line - np.array(size) / 2) < 0.36 * np.array(size)).all()
        if line is not None and inside and all(cKDTree(other).query(line)[0].min() > CLEARANCE_PX for other in lines):
            lines.append(line)
        if len(lines) == 3:
            return lines
    return None


def _photographed_again(cv2: Any, rng: np.random.Generator, picture: Array) -> Array:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 5.0 * rng.choice([-1, 1]), 1.2)
    turned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    light = rng.uniform(0.75, 1.2) * (1 + rng.uniform(-0.2, 0.2) * np.linspace(-1, 1, width)[None, :, None])
    return np.asarray(np.clip(turned, 0, 255) / 255, np.float32) ** rng.uniform(0.85, 1.2) * 255 * light


def same(options: argparse.Namespace) -> None:
    """Photographs against themselves with fewer pixels, turned, in other light, as a coarse JPEG: nothing changed."""
    inspector, found = Inspector(), {name: Counter[str]() for name in AGAIN}
    for path in files_of(options.folders)[: options.count]:
        image = read_image(path)
        for name, again in AGAIN.items():
            try:
                found[name].update(_all_kinds(inspector, np.asarray(image), np.asarray(again(image))))
            except UserError:
                found[name]["not aligned"] += 1
    for name, kinds in found.items():
        print(f"{name}: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")


def _smaller(image: Image.Image, share: float) -> Image.Image:
    return image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)


def _coarse(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


AGAIN: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"{share:g} of the pixels a side": partial(_smaller, share=share) for share in (0.75, 0.5, 0.4, 0.3)},
    "a fifth lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "JPEG of quality 40": partial(_coarse, quality=40),
}


def _kinds(inspector: Inspector, before: Array, after: Array) -> list[str]:
    return sorted(kind for kind in _all_kinds(inspector, before, after) if kind != "unchanged")


def _all_kinds(inspector: Inspector, before: Array, after: Array) -> list[str]:
    places, points = [], []
    for picture in (before, after):
        image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        found = [
            ViewedCrack(number, crack.lines, crack.width.along, crack.width.uncertainty)
            for number, crack in enumerate(inspector.cracks(picture), 1)
        ]
        places.append(View(np.asarray(image.convert("L")), found))
        points.append(detect_keypoints(image))
    return [change.kind for change in changes_of(places[0], places[1], align(*points))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("marker").add_argument("--count", type=int, default=40)
    of_photographs = {"changes": changes, "same": same}
    for name in of_photographs:
        verb = verbs.add_parser(name)
        verb.add_argument("folders", nargs="+", type=Path)
        verb.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    {"marker": marker, **of_photographs}[options.verb](options)


if __name__ == "__main__":
    main()
