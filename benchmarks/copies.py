"""Which copies and overlapping crops are recognised, on cases constructed from real photographs.

python benchmarks/copies.py --patches FOLDER --photos FOLDER

Of 1,000 patches a copy of each kind is made and looked for among all of them; of whole photographs pairs of crops that
share so much are cut, one of each turned, and looked for among all crops. `--libraries` compares the own search for the
nearest point of another picture with SciPy's and OpenCV's trees, on the crops.
"""

import argparse
import io
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageEnhance
from scipy.spatial import cKDTree

from crack_lightning.data.copies.duplicates import near_copies
from crack_lightning.data.copies.fingerprints import fingerprint
from crack_lightning.data.copies.neighbours import nearest_others
from crack_lightning.data.copies.overlaps import local_features, overlapping
from crack_lightning.data.images.formats import is_image_name
from crack_lightning.data.images.reading import read_image

PATCHES, CROPS, CROP_PX = 1000, 40, 227
ASKED = 500  # points of each search by a library
SHARES = (0.15, 0.25, 0.35, 0.5, 0.65, 0.8)
Picture = Image.Image
Crop = tuple[str, int, int]


def encoded(image: Picture, quality: int) -> Picture:
    """`image` written as JPEG and read again."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(image: Picture) -> Picture:
    """Without a twentieth at each side."""
    x, y = image.width // 20, image.height // 20
    return image.crop((x, y, image.width - x, image.height - y))


KINDS: dict[str, Callable[[Picture], Picture]] = {
    "JPEG 90": lambda image: encoded(image, 90),
    "JPEG 50": lambda image: encoded(image, 50),
    "JPEG 20": lambda image: encoded(image, 20),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "darker (0.7)": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "lighter (1.3)": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "contrast (1.3)": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "cropped by a twentieth": cropped,
    "turned by 3 degrees, corners black": lambda image: image.rotate(3, Image.Resampling.BILINEAR),
}


def files(folder: Path) -> list[Path]:
    """All images in `folder`, sorted."""
    return sorted(path for path in folder.rglob("*") if is_image_name(path.name))


def near(folder: Path) -> Iterator[str]:
    """A row of a table a kind of copy."""
    paths = random.Random(0).sample(files(folder), PATCHES)
    pictures = [read_image(path) for path in paths]
    own = np.stack([fingerprint(each) for each in pictures])
    before = {tuple(pair) for pair in near_copies(own)[0].tolist()}
    yield f"{len(before)} pairs of the {PATCHES} patches of {folder.name} are near copies as they are."
    for kind, make in KINDS.items():
        prints = np.concatenate([own, np.stack([fingerprint(make(each)) for each in pictures])])
        pairs = {tuple(pair) for pair in near_copies(prints)[0].tolist()}
        found = sum((k, k + PATCHES) in pairs for k in range(PATCHES))
        # Beside the copy of a patch, only copies of what is a copy of it as it is are right.
        others = {(a % PATCHES, b % PATCHES) for a, b in pairs if a % PATCHES != b % PATCHES}
        wrong = sum(tuple(sorted(pair)) not in before for pair in others)
        yield f"| {kind} | {found / PATCHES:.1%} | {wrong} |"


def crops(folder: Path) -> Iterator[tuple[Picture, Crop, float]]:
    """Pairs of crops, one after the other: picture, where it lies, the part that is shared."""
    draw = random.Random(0)
    for path in files(folder):
        photograph = read_image(path)
        for share in SHARES:
            for _ in range(CROPS):
                width = draw.uniform(share, 1)
                shift = [round((1 - part) * CROP_PX) for part in (width, share / width)]
                draw.shuffle(shift)
                x, y = (draw.randrange(side - 2 * CROP_PX) for side in photograph.size)
                for number, (left, top) in enumerate(((x, y), (x + shift[0], y + shift[1]))):
                    picture = photograph.crop((left, top, left + CROP_PX, top + CROP_PX))
                    turn = draw.choice([None, *Image.Transpose]) if number else None
                    turned = picture if turn is None else picture.transpose(turn)
                    yield encoded(turned, 85), (path.name, left, top), share


def shared(one: Crop, other: Crop) -> float:
    """The part that two crops have in common."""
    sides = [max(0, CROP_PX - abs(a - b)) for a, b in zip(one[1:], other[1:], strict=True)]
    return sides[0] * sides[1] / CROP_PX**2 if one[0] == other[0] else 0.0


def overlaps(folder: Path) -> Iterator[str]:
    """A row of a table a share."""
    made = list(crops(folder))
    pairs = overlapping([local_features(picture) for picture, _, _ in made])
    found = {tuple(pair) for pair in pairs.tolist()}
    for share in SHARES:
        places = [k for k in range(0, len(made), 2) if made[k][2] == share]
        yield f"| {share:.0%} | {sum((k, k + 1) in found for k in places) / len(places):.0%} |"
    wrong = sum(shared(made[a][1], made[b][1]) == 0 for a, b in pairs)
    yield f"{wrong} of {len(pairs)} pairs that were found among {len(made)} crops share nothing."


def libraries(folder: Path) -> Iterator[str]:
    """A row of a table a search: seconds of the processor for all points, three runs in turn, and the nearest found."""
    features = [local_features(picture) for picture, _, _ in crops(folder)]
    owners = np.repeat(np.arange(len(features)), [len(each.points) for each in features])
    points = np.concatenate([each.descriptors for each in features]).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    asked = np.random.default_rng(0).choice(len(points), ASKED, replace=False)
    alike = points[asked] @ points.T
    alike[owners[asked][:, None] == owners] = -1
    tree, index = cKDTree(points), cv2.flann.Index(points, {"algorithm": 1, "trees": 4})  # 1: KD-trees

    def other(places: np.ndarray) -> np.ndarray:
        """The first of (ASKED, k) `places` that another picture has, the nearest of the same one if none."""
        strange = owners[places] != owners[asked][:, None]
        return np.asarray(places[np.arange(ASKED), strange.argmax(axis=1)])

    searches: dict[str, Callable[[], np.ndarray]] = {
        "own, two cells; all points": lambda: nearest_others(points, owners, points, probes=2)[0][asked],
        "OpenCV, 32 leaves": lambda: other(index.knnSearch(points[asked], 4, params={"checks": 32})[0]),
        "OpenCV, 128 leaves": lambda: other(index.knnSearch(points[asked], 4, params={"checks": 128})[0]),
        "SciPy, exact": lambda: other(tree.query(points[asked], 4)[1]),
        "SciPy, within a factor of 2": lambda: other(tree.query(points[asked], 4, eps=1)[1]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    nearest: dict[str, float] = {}
    for _ in range(3):
        for name, search in searches.items():
            started_s = time.process_time()
            nearest[name] = float((search() == alike.argmax(axis=1)).mean())
            seconds[name].append((time.process_time() - started_s) * (1 if "all" in name else len(points) / ASKED))
    for name, taken in seconds.items():
        low, middle, high = sorted(taken)
        yield f"| {name} | {middle:.1f} ({low:.1f} to {high:.1f}) | {nearest[name]:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=Path, action="append", default=[])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--libraries", action="store_true")
    options = parser.parse_args()
    for folder in options.patches:
        print("\n".join(near(folder)), flush=True)
    if options.photos:
        print("\n".join((libraries if options.libraries else overlaps)(options.photos)))


if __name__ == "__main__":
    main()
