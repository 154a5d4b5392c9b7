"""How well cracks are measured: drawn ones of known course and width, real ones with masks, markers, and changes.

    python benchmarks/measured.py drawn PHOTOGRAPHS ... [--count 300]       length and width found by inspect's way
    python benchmarks/measured.py widths SURFACES ... [--count 300]         width alone, along the true line
    python benchmarks/measured.py masks FOLDER ...                          images/ and masks/: length found, width
    python benchmarks/measured.py marker [--count 40]                       scale of a marker, upright and tilted
    python benchmarks/measured.py changes PHOTOGRAPHS ... [--count 20]      two photographs of one place
    python benchmarks/measured.py time PHOTOGRAPH                           of 12 megapixels, beyond its map

PHOTOGRAPHS and SURFACES are folders. A drawn crack counts as found where 90 % of its length lie within five pixels
beyond its flanks.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawn_lines import jagged, with_crack
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.lines import cracks_of
from crack_lightning.inference.photographs import Scale
from crack_lightning.measurement.alignment import aligned, described
from crack_lightning.measurement.centres import centred
from crack_lightning.measurement.changes import Place, Seen, changes_of
from crack_lightning.measurement.cracks import Crack, measured
from crack_lightning.measurement.markers import marker_scale, opencv
from crack_lightning.measurement.network import Branch
from crack_lightning.measurement.paths import length_of, resampled
from crack_lightning.models.crack_map import package_map

Array = np.ndarray

SIDE_PX, CLEARANCE_PX = 900, 60  # of the window that is drawn onto; between a drawn crack and what was marked before
SLACK_PX, FOUND, ON_IT = 5.0, 0.9, 0.6
RANGES = ((0.3, 1.0), (1.0, 3.0), (3.0, 20.0))
THRESHOLD = 0.5


class Inspector:
    """Cracks of pictures by the map of the package."""

    def __init__(self) -> None:
        self.reader = CrackMapReader(package_map(), engine="auto")

    def cracks(self, picture: Array) -> list[Crack]:
        """Of a picture (h, w, 3)."""
        image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        heat = self.reader.heat(self.reader.scaled(image, Scale(256)))
        return cracks_of(heat, np.asarray(image.convert("L")), THRESHOLD)


def files_of(folders: Sequence[Path]) -> list[Path]:
    """Pictures of all folders, by turns."""
    found = [path for folder in folders for path in sorted(folder.rglob("*.jpg"))]
    return [found[k] for k in np.random.default_rng(0).permutation(len(found))]


def window(rng: np.random.Generator, path: Path) -> Array:
    """A part (h, w, 3) of a photograph, at most SIDE_PX each way."""
    image = read_image(path)
    side = min(SIDE_PX, *image.size)
    left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
    return np.asarray(image.crop((left, top, left + side, top + side)), np.float32)


def clear_line(rng: np.random.Generator, marked: Sequence[Crack], size: tuple[int, int], length: float) -> Array | None:
    """A jagged line that is far from what is marked already."""
    points = [point for crack in marked for line in crack.lines for point in line]
    for _ in range(40):
        line = jagged(rng, size, length, roughness=rng.uniform(0.03, 0.1))
        if not points or cKDTree(points).query(line)[0].min() > CLEARANCE_PX:
            return line
    return None


def drawn(options: argparse.Namespace) -> None:
    """Of drawn cracks that the map finds: length and width against the truth."""
    inspector, paths = Inspector(), files_of(options.folders)
    rows = []
    for number in range(4 * options.count):
        rng = np.random.default_rng([1, number])
        picture = window(rng, paths[number % len(paths)])
        line = clear_line(rng, inspector.cracks(picture), picture.shape[1::-1], rng.uniform(250, 700))
        if line is None:
            continue
        width, blur = math.exp(rng.uniform(math.log(0.5), math.log(20))), rng.uniform(0.2, 1.0)
        found = inspector.cracks(with_crack(picture, line, width, contrast=rng.uniform(0.4, 0.8), blur=blur))
        tree = cKDTree(resampled(line, 1.0))
        own = [crack for crack in found if _share_near(tree, crack, width / 2 + SLACK_PX) > ON_IT]
        rows.append((width, *_of_drawn(own, line, width)))
        if len(rows) == options.count:
            break
    _print_drawn(np.array(rows, float))


def _share_near(tree: cKDTree, crack: Crack, reach: float) -> float:
    points = np.concatenate([resampled(line, 1.0) for line in crack.lines])
    return float((tree.query(points)[0] < reach).mean())


def _of_drawn(own: Sequence[Crack], line: Array, width: float) -> tuple[float, float, float, float]:
    """Share found, length over truth, width and its deviation."""
    if not own:
        return 0.0, math.nan, math.nan, math.nan
    points = np.concatenate([resampled(part, 1.0) for crack in own for part in crack.lines])
    share = float((cKDTree(points).query(resampled(line, 1.0))[0] < width / 2 + SLACK_PX).mean())
    longest = max(own, key=lambda crack: crack.length_px)
    length = sum(crack.length_px for crack in own) / length_of(line)
    return share, length, longest.width.median or math.nan, longest.width.uncertainty or math.nan


def _print_drawn(rows: Array) -> None:
    whole = rows[rows[:, 1] >= FOUND]
    errors = np.abs(whole[:, 2] - 1)
    print(
        f"{len(rows)} drawn cracks, {len(whole)} found; length: median error {np.median(errors):.3f}, 90th percentile "
        f"{np.percentile(errors, 90):.3f}, bias {np.median(whole[:, 2] - 1):+.3f}"
    )
    _print_widths(whole[:, 0], whole[:, 3], whole[:, 4])


def _print_widths(truth: Array, given: Array, deviation: Array) -> None:
    print(
        "| true width, px | cracks | width given | median error, px | bias | within 2 deviations |\n" + "|---" * 6 + "|"
    )
    for low, high in RANGES:
        chosen = (truth >= low) & (truth < high)
        claimed = chosen & np.isfinite(given)
        errors = given[claimed] - truth[claimed]
        row = "| | |"
        if claimed.any():
            within = (np.abs(errors) <= 2 * deviation[claimed]).mean()
            row = f"{np.median(np.abs(errors)):.2f} | {np.median(errors):+.2f} | {within:.0%}"
        print(f"| {low:g} to {high:g} | {chosen.sum()} | {claimed.sum()} | {row} |")
    print(f"widths given below one pixel: {(np.isfinite(given) & (truth < 1)).sum()} of {(truth < 1).sum()}")


def widths(options: argparse.Namespace) -> None:
    """The width along the true line, disturbed by 1.5 pixels, as the map gives it where it finds all."""
    paths, rows = files_of(options.folders), []
    for number in range(options.count):
        rng = np.random.default_rng([2, number])
        patch = np.asarray(read_image(paths[number % len(paths)]), np.float32)
        picture = np.concatenate(
            [np.concatenate([patch, patch[:, ::-1]], 1), np.concatenate([patch, patch[:, ::-1]], 1)[::-1]]
        )
        low, high = RANGES[number % len(RANGES)]
        width, blur = rng.uniform(low, high), rng.uniform(0, 1)
        line = jagged(rng, picture.shape[1::-1], rng.uniform(150, 300), roughness=0.02)
        cracked = with_crack(picture, line, width, contrast=rng.uniform(0.3, 0.8), blur=blur)
        levels = np.clip(cracked + rng.normal(0, 1, cracked.shape), 0, 255).astype(np.uint8)
        start = resampled(line, 4.0)
        branch = Branch(start + rng.normal(0, 1.5, start.shape), 0, width / 2 + 5, np.ones(len(start)))
        grey = np.asarray(Image.fromarray(levels).convert("L"))
        crack = measured([(centred(grey, branch.points, branch.radius_px), branch)], grey)
        rows.append((width, crack.width.median or math.nan, crack.width.uncertainty or math.nan))
    _print_widths(*np.array(rows, float).T)


def masks(options: argparse.Namespace) -> None:
    """Real cracks with masks: how much of the masks' skeletons is found, how much of what is found is there; widths."""
    inspector = Inspector()
    print(
        "| photographs | found of the masks' skeletons | there of what is drawn | widths, median difference | cracks |"
    )
    print("|---|---|---|---|---|")
    for folder in options.folders:
        counts, differences = np.zeros(4), list[float]()
        for path in sorted((folder / "images").iterdir()):
            image = read_image(path)
            mask = np.asarray(Image.open(folder / "masks" / f"{path.stem}.png").convert("L")) > 127
            found = inspector.cracks(np.asarray(image))
            counts += _lengths(found, mask)
            differences += list(_width_differences(found, mask))
        told = f"{np.median(np.abs(differences)):.2f} px (bias {np.median(differences):+.2f})" if differences else ""
        shares = f"{counts[0] / counts[1]:.3f} | {counts[2] / counts[3]:.3f}"
        print(f"| {folder.name} | {shares} | {told} | {len(differences)} |", flush=True)


def _lengths(found: Sequence[Crack], mask: Array) -> Array:
    """Skeleton found and whole, drawn that is there and whole, in pixels."""
    lines = np.zeros(mask.shape, bool)
    for crack in found:
        for line in crack.lines:
            columns, rows = np.floor(resampled(line, 0.5)).astype(int).T
            lines[rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1)] = True
    truth = skeletonize(mask)
    lines = skeletonize(lines)
    to_line = ndimage.distance_transform_edt(~lines) if lines.any() else np.full(mask.shape, np.inf)
    to_truth = ndimage.distance_transform_edt(~truth) if truth.any() else np.full(mask.shape, np.inf)
    return np.array(
        [(truth & (to_line <= SLACK_PX)).sum(), truth.sum(), (lines & (to_truth <= SLACK_PX)).sum(), lines.sum()]
    )


def _width_differences(found: Sequence[Crack], mask: Array) -> Iterator[float]:
    """Of cracks with a given width that lie on a mask: their median width less the mask's beside them."""
    truth = skeletonize(mask)
    if not truth.any():
        return
    radius, places = ndimage.distance_transform_edt(mask), np.argwhere(truth)
    tree = cKDTree(places[:, ::-1] + 0.5)
    for crack in found:
        distance, index = tree.query(np.concatenate(list(crack.lines)))
        near = distance <= SLACK_PX
        if crack.width.median is not None and near.mean() > ON_IT:
            yield crack.width.median - float(np.median(2 * radius[tuple(places[index[near]].T)] - 0.5))


def marker(options: argparse.Namespace) -> None:
    """A printed marker of 50 mm under a camera at one metre: error of mm_per_px."""
    cv2: Any = opencv("this benchmark")
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
    cv2: Any = opencv("this benchmark")
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


def _kinds(inspector: Inspector, before: Array, after: Array) -> list[str]:
    places, points = [], []
    for picture in (before, after):
        image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        found = [
            Seen(number, crack.lines, crack.width.along, crack.width.uncertainty)
            for number, crack in enumerate(inspector.cracks(picture), 1)
        ]
        places.append(Place(np.asarray(image.convert("L")), found))
        points.append(described(image))
    found_changes = changes_of(places[0], places[1], aligned(*points))
    return sorted(change.kind for change in found_changes if change.kind != "unchanged")


def timed(options: argparse.Namespace) -> None:
    """Seconds of lines and widths of a photograph brought to 12 megapixels, and of its map, by turns."""
    inspector, image = Inspector(), read_image(options.photograph).resize((4032, 3024))
    grey, seconds = np.asarray(image.convert("L")), list[tuple[float, float]]()
    for _ in range(4):
        started_s = time.perf_counter()
        heat = inspector.reader.heat(inspector.reader.scaled(image, Scale(256)))
        mapped_s = time.perf_counter()
        found = cracks_of(heat, grey, THRESHOLD)
        seconds.append((mapped_s - started_s, time.perf_counter() - mapped_s))
    maps, lines = np.array(seconds[1:]).T
    print(
        f"{len(found)} cracks, {sum(crack.length_px for crack in found):.0f} px: map {np.median(maps):.2f} s, lines "
        f"and widths {np.median(lines):.2f} s ({lines.min():.2f} to {lines.max():.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    works = {"drawn": (drawn, 300), "widths": (widths, 300), "masks": (masks, 0), "changes": (changes, 20)}
    for name, (_, count) in works.items():
        verb = verbs.add_parser(name)
        verb.add_argument("folders", nargs="+", type=Path)
        verb.add_argument("--count", type=int, default=count)
    verbs.add_parser("marker").add_argument("--count", type=int, default=40)
    verbs.add_parser("time").add_argument("photograph", type=Path)
    options = parser.parse_args()
    {**{name: work for name, (work, _) in works.items()}, "marker": marker, "time": timed}[options.verb](options)


if __name__ == "__main__":
    main()
