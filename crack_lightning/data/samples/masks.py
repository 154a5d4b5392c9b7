"""Finds and checks masks: images/ and masks/ hold files of the same names; a mask marks the pixels that are crack."""

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
    opened,
    orientation_of,
    read_image,
    reason,
)
from crack_lightning.data.samples.listing import Sample, image_paths
from crack_lightning.data.samples.mask_labels import CrackLabel, as_option, cracked, label_of, lighter, shown, values_of
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.names import comparable

log = logging.getLogger(__name__)

SIDEWAYS = range(5, 9)  # EXIF orientations that exchange width and height
IMAGES, MASKS = "images", "masks"
ENDINGS = ("", "_mask", "-mask", "_label", "_gt")  # of a mask's name, after the name of its photograph
HALF = 0.5  # share of crack above which black and white of a mask are most likely exchanged
LEAST_DARKER, AROUND_PX = 3.0, 15  # levels by which a crack is darker than the pixels that near
MOST_LOOKED_AT = 50  # masks, where only a message depends on them

Array = np.ndarray


def masked_samples(root: Path) -> dict[str, list[Sample]]:
    """Returns the samples in train/ val/ test/ of `root`, or all under "" where it holds images/ and masks/ itself."""
    if root.is_dir() and {IMAGES, MASKS} <= {folder.name for folder in visible_folders(root)}:
        return {"": find_masked(root)}
    folders = split_folders(root)
    return (
        {split: find_masked(folders[split], prefix=f"{split}/") for split in SPLITS}
        if folders
        else {"": find_masked(root)}
    )


def find_masked(root: Path, *, prefix: str = "") -> list[Sample]:
    """Returns all photographs in images/ of `root` with their masks in masks/, by their names without the extension.

    Raises FileNotFoundError or UserError where a folder, or the mask of a photograph, is missing.
    """
    for name in (IMAGES, MASKS):
        if not (root / name).is_dir():
            raise FileNotFoundError(f"{root / name} is missing: data=masks takes a folder with {IMAGES}/ and {MASKS}/")
    photographs, masks = (_by_stem(root / name) for name in (IMAGES, MASKS))
    if not photographs:
        raise FileNotFoundError(f"{root / IMAGES} has no images")
    samples, used, unmasked = list[Sample](), set[Path](), list[Path]()
    for stem, path in photographs.items():
        mask = next((masks[stem + end] for end in ENDINGS if stem + end in masks), None)
        if mask is None:
            unmasked.append(path)
            continue
        used.add(mask)
        name = prefix + path.relative_to(root / IMAGES).as_posix()
        samples.append(Sample(path, 0, name, name, mask))
    if unmasked:
        raise UserError(
            f"{len(unmasked)} of {len(photographs)} photographs have no mask of their name in {root / MASKS}, such as "
            f"{unmasked[0]}: give each one, all black where there is no crack, or move the photographs out"
        )
    if unused := [mask for mask in masks.values() if mask not in used]:
        log.warning("%d masks have no photograph of their name, such as %s: not used", len(unused), unused[0])
    return samples


def mask_of(sample: Sample, size: tuple[int, int], *, megapixels: float = MOST_MEGAPIXELS) -> Array:
    """Returns which pixels (h, w) of the photograph, upright and of `size` (width, height), are crack.

    Raises UserError for a mask that cannot be read or is of another size.
    """
    if sample.mask is None:
        raise ValueError(f"{sample.path} has no mask")
    crack = cracked(sample.mask, sample.crack_label, megapixels=megapixels)
    if crack.shape[::-1] != size:
        raise UserError(_other_size(sample.mask, crack.shape[::-1], size))
    return crack


def _by_stem(folder: Path) -> dict[str, Path]:
    """Returns the pictures below `folder` by path without the extension. Raises UserError for two of one name."""
    pictures: dict[str, Path] = {}
    for path in image_paths(folder):
        stem = comparable(path.relative_to(folder).with_suffix("").as_posix())
        if stem in pictures:
            raise UserError(f"{path} and {pictures[stem]} have the same name: it is unclear which is meant")
        pictures[stem] = path
    return pictures


def labelled(samples: Sequence[Sample], crack_label: Any, root: Path, *, megapixels: float) -> list[Sample]:
    """Returns samples with the value that is crack in their masks: `crack_label`, else the lighter of two.

    Where none has a mask they are returned as they are. Warns of masks that are mostly crack, and of those that fit
    their photographs better turned. Raises UserError where more than two values occur and none is named, and where no
    mask shows a crack.
    """
    masks = [sample.mask for sample in samples if sample.mask is not None]
    if not masks:
        return list(samples)
    label = label_of(crack_label, root)
    if label is None:
        values = _values(masks, megapixels)
        if len(values) > 2:
            raise UserError(
                f"the masks in {root} have {len(values)} labels, {shown(values)}: say which of them is crack, such as "
                f"{typed('data.crack_label', as_option(sorted(values)[1]))}"
            )
        label = CrackLabel(lighter(values)) if len(values) == 2 else None
    with_labels = [replace(sample, crack_label=label) for sample in samples]
    _check_cracks(with_labels, megapixels=megapixels)
    _check_turned(with_labels, megapixels=megapixels)
    return with_labels


def _values(masks: Sequence[Path], megapixels: float) -> set[int]:
    return set().union(*(values_of(mask, megapixels=megapixels) or () for mask in masks))


def _check_cracks(samples: Sequence[Sample], *, megapixels: float) -> None:
    shares = {
        str(sample.mask): float(cracked(sample.mask, sample.crack_label, megapixels=megapixels).mean())
        for sample in samples
        if sample.mask is not None
    }
    if not any(shares.values()):
        values = shown(_values(list(map(Path, shares))[:MOST_LOOKED_AT], megapixels))
        raise UserError(
            f"none of {len(shares)} masks shows a crack, such as {next(iter(shares))}: white is crack, or what "
            f"data.crack_label says; there are the values {values}"
        )
    if mostly_crack := [path for path, share in shares.items() if share > HALF]:
        log.warning(
            "%d of %d masks are mostly crack, such as %s: white is crack, black is sound; invert them if it is the "
            "other way round",
            len(mostly_crack),
            len(shares),
            mostly_crack[0],
        )


def _check_turned(samples: Sequence[Sample], *, megapixels: float) -> None:
    """Warns of masks that lie on darker lines when they are turned as EXIF says of their photographs: they were drawn
    on the picture as the sensor saw it, which their size does not show."""
    better_turned, tried = list[Path](), 0
    for sample in samples:
        orientation = camera_facts(sample.path).orientation
        if orientation == 1 or tried == MOST_LOOKED_AT:
            continue
        image = read_image(sample.path, megapixels=megapixels).convert("L")
        mask = Image.fromarray(mask_of(sample, image.size, megapixels=megapixels))
        turned = mask.transpose(ORIENTATIONS[orientation])
        if turned.size == mask.size and np.asarray(mask).any():
            tried += 1
            darkness, darkness_turned = _darkness(image, mask), _darkness(image, turned)
            better_turned += [sample.path] if darkness_turned > LEAST_DARKER and darkness_turned > 2 * darkness else []
    if better_turned and 2 * len(better_turned) > tried:
        log.warning(
            "%d of %d masks of photographs that EXIF turns lie on darker lines when they are turned too, such as that "
            "of %s: save masks upright, as viewers show the photograph",
            len(better_turned),
            tried,
            better_turned[0],
        )


def _darkness(grey: Image.Image, mask: Image.Image) -> float:
    """Returns by how many levels a photograph is darker where its mask is crack than around there."""
    levels = np.asarray(grey, np.float32)
    around = np.asarray(grey.filter(ImageFilter.BoxBlur(AROUND_PX)), np.float32)
    return float((around - levels)[np.asarray(mask)].mean())


def mismatched_masks(samples: Sequence[Sample], *, megapixels: float = MOST_MEGAPIXELS) -> dict[Path, str]:
    """Returns the photographs whose masks have another size or cannot be opened, with the reason, by headers alone."""
    odd = {}
    for sample in samples:
        if sample.mask is None:
            continue
        try:
            photograph_size, mask_size = (_size(path, megapixels) for path in (sample.path, sample.mask))
        except UserError as error:
            odd[sample.path] = str(error)
            continue
        if photograph_size != mask_size:
            odd[sample.path] = _other_size(sample.mask, mask_size, photograph_size)
    return odd


def _size(path: Path, megapixels: float) -> tuple[int, int]:
    """Returns width and height, upright."""
    try:
        with path.open("rb") as file, opened(file, megapixels=megapixels) as image:
            return image.size[::-1] if orientation_of(image) in SIDEWAYS else image.size
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"{path} cannot be read: {reason(error)}") from error


def _other_size(mask: Path, mask_size: tuple[int, int], photograph: tuple[int, int]) -> str:
    mask_text, photograph_text = (f"{width} x {height}" for width, height in (mask_size, photograph))
    return f"{mask} has {mask_text} pixels, its photograph, upright, {photograph_text}: save the mask at that size"
