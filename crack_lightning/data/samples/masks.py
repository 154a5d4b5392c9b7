"""Finds and checks masks, which mark the pixels that are crack: images/ and masks/ hold files with the same names."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from crack_lightning.data.images.exif import camera_facts
from crack_lightning.data.images.folders import visible_folders
from crack_lightning.data.images.reading import (
    MOST_MEGAPIXELS,
    ORIENTATIONS,
    open_image,
    orientation_of,
    read_image,
    reason,
)
from crack_lightning.data.samples.listing import Sample, image_paths
from crack_lightning.data.samples.mask_labels import (
    CrackLabel,
    as_option,
    crack_pixels,
    format_values,
    lightest,
    parse_crack_label,
    values_of,
)
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.names import comparable

log = logging.getLogger(__name__)

SIDEWAYS_ORIENTATIONS = range(5, 9)  # EXIF orientations that exchange width and height
IMAGES, MASKS = "images", "masks"  # names of folders
MASK_ENDINGS = ("", "_mask", "-mask", "_label", "_gt")  # what may follow the name of the photograph in that of its mask
MAX_CRACK_SHARE = 0.5  # if more of a mask is crack, its black and white are probably exchanged
MIN_DARKNESS = 3.0  # a crack is at least this many grey levels darker than its surroundings
SURROUNDINGS_PX = 15  # distance up to which pixels belong to the surroundings
MAX_EXAMINED = 50  # number of masks examined if the result only affects a message

Array = np.ndarray


def find_masked_splits(root: Path) -> dict[str, list[Sample]]:
    """Returns the samples in train/ val/ test/ of `root` by split, or all under "" if `root` is not split."""
    if root.is_dir() and {IMAGES, MASKS} <= {folder.name for folder in visible_folders(root)}:
        return {"": find_masked(root)}
    folders = split_folders(root)
    return (
        {split: find_masked(folders[split], prefix=f"{split}/") for split in SPLITS}
        if folders
        else {"": find_masked(root)}
    )


def find_masked(root: Path, *, prefix: str = "") -> list[Sample]:
    """Returns all photographs in images/ of `root` with their masks in masks/; names are compared without extensions.

    Raises FileNotFoundError or UserError if a folder or the mask of a photograph is missing.
    """
    for name in (IMAGES, MASKS):
        if not (root / name).is_dir():
            raise FileNotFoundError(f"{root / name} is missing: data=masks takes a folder with {IMAGES}/ and {MASKS}/")
    photographs, masks = (_by_stem(root / name) for name in (IMAGES, MASKS))
    if not photographs:
        raise FileNotFoundError(f"{root / IMAGES} has no images")
    samples, used, unmasked = list[Sample](), set[Path](), list[Path]()
    for stem, path in photographs.items():
        mask = next((masks[stem + end] for end in MASK_ENDINGS if stem + end in masks), None)
        if mask is None:
            unmasked.append(path)
            continue
        used.add(mask)
        name = prefix + path.relative_to(root / IMAGES).as_posix()
        samples.append(Sample(path, 0, name, name, mask))
    if unmasked:
        raise UserError(
            f"{len(unmasked)} of {len(photographs)} photographs have no mask of their name in {root / MASKS}, such as "
            f"{unmasked[0]}: add masks, all black if there is no crack, or move the photographs out"
        )
    if unused := [mask for mask in masks.values() if mask not in used]:
        log.warning("%d masks have no photograph of their name, such as %s: not used", len(unused), unused[0])
    return samples


def mask_of(sample: Sample, size: tuple[int, int], *, megapixels: float = MOST_MEGAPIXELS) -> Array:
    """Returns which pixels (h, w) of the upright photograph, whose `size` is (width, height), are crack.

    Raises UserError for a mask that cannot be read or has another size.
    """
    if sample.mask is None:
        raise ValueError(f"{sample.path} has no mask")
    crack = crack_pixels(sample.mask, sample.crack_label, megapixels=megapixels)
    if crack.shape[::-1] != size:
        raise UserError(_size_message(sample.mask, crack.shape[::-1], size))
    return crack


def _by_stem(folder: Path) -> dict[str, Path]:
    """Returns the pictures below `folder` by path without extension. Raises UserError if two have the same."""
    pictures: dict[str, Path] = {}
    for path in image_paths(folder):
        stem = comparable(path.relative_to(folder).with_suffix("").as_posix())
        if stem in pictures:
            raise UserError(f"{path} and {pictures[stem]} have the same name: it is unclear which is meant")
        pictures[stem] = path
    return pictures


def with_crack_labels(samples: Sequence[Sample], crack_label: Any, root: Path, *, megapixels: float) -> list[Sample]:
    """Returns samples completed by the value that means crack in their masks: `crack_label`, else the lighter of two.

    If no sample has a mask, they are returned unchanged. Logs warnings about masks that are mostly crack, and about
    masks that fit their photographs better when turned. Raises UserError if there are more than two values and
    `crack_label` is None, or if no mask shows a crack.
    """
    masks = [sample.mask for sample in samples if sample.mask is not None]
    if not masks:
        return list(samples)
    label = parse_crack_label(crack_label, root)
    if label is None:
        values = _values_in(masks, megapixels)
        if len(values) > 2:
            raise UserError(
                f"the masks in {root} have {len(values)} labels, {format_values(values)}: say which of them is "
                f"crack, such as {typed('data.crack_label', as_option(sorted(values)[1]))}"
            )
        label = CrackLabel(lightest(values)) if len(values) == 2 else None
    completed = [replace(sample, crack_label=label) for sample in samples]
    _check_cracks(completed, megapixels=megapixels)
    _warn_of_turned(completed, megapixels=megapixels)
    return completed


def _values_in(masks: Sequence[Path], megapixels: float) -> set[int]:
    """Returns all values in `masks`."""
    return set().union(*(values_of(mask, megapixels=megapixels) or () for mask in masks))


def _check_cracks(samples: Sequence[Sample], *, megapixels: float) -> None:
    """Raises UserError if no mask shows a crack; logs a warning if masks are mostly crack."""
    shares = {
        str(sample.mask): float(crack_pixels(sample.mask, sample.crack_label, megapixels=megapixels).mean())
        for sample in samples
        if sample.mask is not None
    }
    if not any(shares.values()):
        values = format_values(_values_in(list(map(Path, shares))[:MAX_EXAMINED], megapixels))
        raise UserError(
            f"none of {len(shares)} masks shows a crack, such as {next(iter(shares))}: crack is white, or the value in "
            f"data.crack_label; there are the values {values}"
        )
    if mostly_crack := [path for path, share in shares.items() if share > MAX_CRACK_SHARE]:
        log.warning(
            "%d of %d masks are mostly crack, such as %s: white means crack, black means sound; invert the masks if "
            "they have it the other way round",
            len(mostly_crack),
            len(shares),
            mostly_crack[0],
        )


def _warn_of_turned(samples: Sequence[Sample], *, megapixels: float) -> None:
    """Logs a warning if masks fit darker lines better when they are turned by their photographs' EXIF orientation.

    Such masks were drawn on pictures as the sensor saw them. Their size need not show this.
    """
    better_turned, tried = list[Path](), 0
    for sample in samples:
        orientation = camera_facts(sample.path).orientation
        if orientation == 1 or tried == MAX_EXAMINED:
            continue
        image = read_image(sample.path, megapixels=megapixels).convert("L")
        mask = Image.fromarray(mask_of(sample, image.size, megapixels=megapixels))
        turned = mask.transpose(ORIENTATIONS[orientation])
        if turned.size == mask.size and np.asarray(mask).any():
            tried += 1
            darkness, darkness_turned = _darkness(image, mask), _darkness(image, turned)
            better_turned += [sample.path] if darkness_turned > MIN_DARKNESS and darkness_turned > 2 * darkness else []
    if better_turned and 2 * len(better_turned) > tried:
        log.warning(
            "%d of %d masks of photographs that EXIF turns fit darker lines better when turned too, such as the mask "
            "of %s: save masks upright, as viewers show the photograph",
            len(better_turned),
            tried,
            better_turned[0],
        )


def _darkness(grey: Image.Image, mask: Image.Image) -> float:
    """Returns by how many grey levels, on average, a photograph is darker where its mask is crack than around it."""
    levels = np.asarray(grey, np.float32)
    around = np.asarray(grey.filter(ImageFilter.BoxBlur(SURROUNDINGS_PX)), np.float32)
    return float((around - levels)[np.asarray(mask)].mean())


def mismatched_masks(samples: Sequence[Sample], *, megapixels: float = MOST_MEGAPIXELS) -> dict[Path, str]:
    """Returns the photographs whose masks have another size or cannot be opened, and why; reads headers only."""
    reasons = {}
    for sample in samples:
        if sample.mask is None:
            continue
        try:
            photograph_size, mask_size = (_size(path, megapixels) for path in (sample.path, sample.mask))
        except UserError as error:
            reasons[sample.path] = str(error)
            continue
        if photograph_size != mask_size:
            reasons[sample.path] = _size_message(sample.mask, mask_size, photograph_size)
    return reasons


def _size(path: Path, megapixels: float) -> tuple[int, int]:
    """Returns the width and height of the upright picture in `path`."""
    try:
        with path.open("rb") as file, open_image(file, megapixels=megapixels) as image:
            return image.size[::-1] if orientation_of(image) in SIDEWAYS_ORIENTATIONS else image.size
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"{path} cannot be read: {reason(error)}") from error


def _size_message(mask: Path, mask_size: tuple[int, int], photograph: tuple[int, int]) -> str:
    mask_text, photograph_text = (f"{width} x {height}" for width, height in (mask_size, photograph))
    return f"{mask} has {mask_text} pixels, its photograph, upright, {photograph_text}: save the mask at that size"
