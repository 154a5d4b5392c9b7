"""Photographs with masks: images/ and masks/ with files named alike, where a mask says which pixels are crack."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crack_lightning.data.images.folders import visible_folders
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, opened, reason
from crack_lightning.data.samples.listing import Sample, image_paths
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.errors import UserError
from crack_lightning.system.names import comparable

log = logging.getLogger(__name__)

ORIENTATION, SIDEWAYS = 0x0112, range(5, 9)  # of EXIF: width and height are exchanged
IMAGES, MASKS = "images", "masks"
ENDINGS = ("", "_mask", "-mask", "_label", "_gt")  # of the name of a mask beside that of its photograph
HALF = 0.5  # of a mask; more crack than that is most likely a mask whose black and white are exchanged
GREYS = 0.01  # of the pixels, neither black nor white, from which on a mask is worth a word

Array = np.ndarray


def masked_samples(root: Path) -> dict[str, list[Sample]]:
    """Returns what `find_masked` finds in train/ val/ test/ of `root`, under "" where it holds images/ and masks/."""
    if root.is_dir() and {IMAGES, MASKS} <= {folder.name for folder in visible_folders(root)}:
        return {"": find_masked(root)}
    folders = split_folders(root)
    return (
        {split: find_masked(folders[split], prefix=f"{split}/") for split in SPLITS}
        if folders
        else {"": find_masked(root)}
    )


def find_masked(root: Path, *, prefix: str = "") -> list[Sample]:
    """All photographs in images/ of `root` with their masks in masks/, by their names without the extension.

    Raises FileNotFoundError or UserError where a folder, or the mask of a photograph, is missing.
    """
    for name in (IMAGES, MASKS):
        if not (root / name).is_dir():
            raise FileNotFoundError(f"{root / name} is missing: data=masks takes a folder with {IMAGES}/ and {MASKS}/")
    photographs, masks = (_by_stem(root / name) for name in (IMAGES, MASKS))
    if not photographs:
        raise FileNotFoundError(f"{root / IMAGES} has no images")
    found, used, lonely = list[Sample](), set[Path](), list[Path]()
    for stem, path in photographs.items():
        mask = next((masks[stem + end] for end in ENDINGS if stem + end in masks), None)
        if mask is None:
            lonely.append(path)
            continue
        used.add(mask)
        name = prefix + path.relative_to(root / IMAGES).as_posix()
        found.append(Sample(path, 0, name, name, mask))
    if lonely:
        raise UserError(
            f"{len(lonely)} of {len(photographs)} photographs have no mask of their name in {root / MASKS}, such as "
            f"{lonely[0]}: give each one, all black where there is no crack, or move the photographs out"
        )
    if spare := [mask for mask in masks.values() if mask not in used]:
        log.warning("%d masks have no photograph of their name, such as %s: not used", len(spare), spare[0])
    return found


def mask_of(sample: Sample) -> Path:
    """Returns the mask of a sample that has one."""
    if sample.mask is None:
        raise ValueError(f"{sample.path} has no mask")
    return sample.mask


def _by_stem(folder: Path) -> dict[str, Path]:
    """The pictures below `folder` by their place without the extension. Raises UserError for two of one name."""
    found: dict[str, Path] = {}
    for path in image_paths(folder):
        stem = comparable(path.relative_to(folder).with_suffix("").as_posix())
        if stem in found:
            raise UserError(f"{path} and {found[stem]} have one name: which of them is meant cannot be told")
        found[stem] = path
    return found


def read_mask(path: Path, size: tuple[int, int], *, megapixels: float = MOST_MEGAPIXELS) -> Array:
    """Which pixels (h, w) of a photograph of `size` (width, height) are crack: the lighter value of two.

    Of more than two values, what is in the upper half of the range. Raises UserError for a mask that cannot be read or
    is of another size.
    """
    try:
        with path.open("rb") as file, opened(file, megapixels=megapixels) as image:
            levels = np.asarray(image if image.mode in ("1", "L", "I;16", "I") else image.convert("L"))
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"{path} cannot be read: {reason(error)}") from error
    if levels.shape[::-1] != size:
        raise UserError(_other_size(path, levels.shape[::-1], size))
    values = np.unique(levels)
    if len(values) > 2:
        top = 255 if levels.dtype == np.uint8 else 65_535
        grey = float(((levels > top / 8) & (levels < top * 7 / 8)).mean())
        if grey > GREYS:
            log.warning("%s has grey levels, %.0f %% of it: crack is what is lighter than half", path, 100 * grey)
        return np.asarray(levels > top / 2)
    return np.asarray(levels > 0) if len(values) == 1 else np.asarray(levels == values[-1])


def crack_share(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> float:
    """The share of a mask that is crack, 0..1; of one that cannot be read 0."""
    try:
        with path.open("rb") as file, opened(file, megapixels=megapixels) as image:
            size = image.size
    except Exception:  # decoders raise whatever they like on damaged files; reading names it
        return 0.0
    return float(read_mask(path, size, megapixels=megapixels).mean())


def check_cracks(samples: Sequence[Sample], *, megapixels: float) -> None:
    """Warns of masks of which more than HALF is crack. Raises UserError where of several no mask shows any."""
    masks = [sample.mask for sample in samples if sample.mask is not None]
    shares = {mask: crack_share(mask, megapixels=megapixels) for mask in masks}
    if shares and not any(shares.values()):
        raise UserError(f"none of {len(shares)} masks shows a crack, such as {masks[0]}: white is crack")
    if most := [path for path, share in shares.items() if share > HALF]:
        log.warning(
            "%d of %d masks are mostly crack, such as %s: white is crack, black is sound; invert them if it is the "
            "other way round",
            len(most),
            len(shares),
            most[0],
        )


def odd_masks(samples: Sequence[Sample], *, megapixels: float = MOST_MEGAPIXELS) -> dict[Path, str]:
    """The photographs whose masks are of another size or cannot be opened, each with the reason, from headers alone."""
    odd = {}
    for sample in samples:
        if sample.mask is None:
            continue
        try:
            wanted, there = (_size(path, megapixels) for path in (sample.path, sample.mask))
        except UserError as error:
            odd[sample.path] = str(error)
            continue
        if wanted != there:
            odd[sample.path] = _other_size(sample.mask, there, wanted)
    return odd


def _size(path: Path, megapixels: float) -> tuple[int, int]:
    """Width and height, upright."""
    try:
        with path.open("rb") as file, opened(file, megapixels=megapixels) as image:
            turned = image.getexif().get(ORIENTATION, 1) in SIDEWAYS
            return image.size[::-1] if turned else image.size
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"{path} cannot be read: {reason(error)}") from error


def _other_size(mask: Path, own: tuple[int, int], photograph: tuple[int, int]) -> str:
    there, wanted = (f"{width} x {height}" for width, height in (own, photograph))
    return f"{mask} has {there} pixels, its photograph, upright, {wanted}: save the mask at that size"
