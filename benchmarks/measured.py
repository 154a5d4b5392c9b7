"""How well cracks are measured: drawn ones of known course and width, and real ones with masks.

    python benchmarks/measured.py drawn PHOTOGRAPHS ... [--count 300]       length and width found by inspect's way
    python benchmarks/measured.py widths SURFACES ... [--count 300]         width alone, along the true line
    python benchmarks/measured.py masks FOLDER ...                          images/ and masks/: length found, width
    python benchmarks/measured.py time PHOTOGRAPH                           of 12 megapixels, beyond its map

PHOTOGRAPHS and SURFACES are folders. A drawn crack counts as found where 90 % of its length lie within five pixels
beyond its flanks.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from drawn_lines import jagged, with_crack
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from crack_lightning.data.images.reading import read_image
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.measurement.centres import centred
from crack_lightning.measurement.cracks import Crack, measure_crack
from crack_lightning.measurement.network import Branch
from crack_lightning.measurement.paths import length_of, resampled
from crack_lightning.models.package_map import package_map

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
        heat = self.reader.heat(self.reader.scaled(image, WindowScale(256)))
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
        crack = measure_crack([(centred(grey, branch.points, branch.radius_px), branch)], grey)
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


def timed(options: argparse.Namespace) -> None:
    """Seconds of lines and widths of a photograph brought to 12 megapixels, and of its map, by turns."""
    inspector, image = Inspector(), read_image(options.photograph).resize((4032, 3024))
    grey, seconds = np.asarray(image.convert("L")), list[tuple[float, float]]()
    for _ in range(4):
        started_s = time.perf_counter()
        heat = inspector.reader.heat(inspector.reader.scaled(image, WindowScale(256)))
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
    works = {"drawn": (drawn, 300), "widths": (widths, 300), "masks": (masks, 0)}
    for name, (_, count) in works.items():
        verb = verbs.add_parser(name)
        verb.add_argument("folders", nargs="+", type=Path)
        verb.add_argument("--count", type=int, default=count)
    verbs.add_parser("time").add_argument("photograph", type=Path)
    options = parser.parse_args()
    {**{name: work for name, (work, _) in works.items()}, "time": timed}[options.verb](options)


if __name__ == "__main__":
    main()
