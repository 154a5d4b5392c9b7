"""Photographs with masks: images/ and masks/ with files named alike, where a mask says which pixels are crack."""

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
from crack_lightning.data.samples.mask_labels import CrackLabel, cracked, label_of, lighter, shown, typeable, values_of
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.names import comparable

log = logging.getLogger(__name__)

SIDEWAYS = range(5, 9)  # orientations of EXIF by which width and height are exchanged
IMAGES, MASKS = "images", "masks"
ENDINGS = ("", "_mask", "-mask", "_label", "_gt")  # of the name of a mask beside that of its photograph
HALF = 0.5  # of a mask; more crack than that is most likely a mask whose black and white are exchanged
LEAST_DARKER, AROUND_PX = 3.0, 15  # levels by which a crack is darker than what lies that near
MOST_LOOKED_AT = 50  # masks of which no more than a message depends

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


def mask_of(sample: Sample, size: tuple[int, int], *, megapixels: float = MOST_MEGAPIXELS) -> Array:
    """Returns which pixels (h, w) of the photograph, upright and of `size` (width, height), are crack.

    Raises UserError for a mask that cannot be read or is of another size.
    """
    if sample.mask is None:
        raise ValueError(f"{sample.path} has no mask")
    found = cracked(sample.mask, sample.crack_label, megapixels=megapixels)
    if found.shape[::-1] != size:
        raise UserError(_other_size(sample.mask, found.shape[::-1], size))
    return found


def _by_stem(folder: Path) -> dict[str, Path]:
    """The pictures below `folder` by their place without the extension. Raises UserError for two of one name."""
    found: dict[str, Path] = {}
    for path in image_paths(folder):
        stem = comparable(path.relative_to(folder).with_suffix("").as_posix())
        if stem in found:
            raise UserError(f"{path} and {found[stem]} have one name: which of them is meant cannot be told")
        found[stem] = path
    return found


def labelled(samples: Sequence[Sample], crack_label: Any, root: Path, *, megapixels: float) -> list[Sample]:
    """Returns samples with masks that know which value is crack: `crack_label`, else of two the lighter. Others as they
    are.

    Warns of masks that are mostly crack, and of those that fit their photographs better turned. Raises UserError where
    more than two values occur and none is named, and where no mask shows a crack.
    """
    masks = [sample.mask for sample in samples if sample.mask is not None]
    if not masks:
        return list(samples)
    label = label_of(crack_label, root)
    if label is None:
        found = _values(masks, megapixels)
        if len(found) > 2:
            raise UserError(
                f"the masks in {root} have {len(found)} labels, {shown(found)}: say which of them is crack, such as "
                f"{typed('data.crack_label', typeable(sorted(found)[1]))}"
            )
        label = CrackLabel(lighter(found)) if len(found) == 2 else None
    ready = [replace(sample, crack_label=label) for sample in samples]
    _check_cracks(ready, megapixels=megapixels)
    _check_turned(ready, megapixels=megapixels)
    return ready


def _values(masks: Sequence[Path], megapixels: float) -> set[int]:
    return set().union(*(values_of(mask, megapixels=megapixels) or () for mask in masks))


def _check_cracks(samples: Sequence[Sample], *, megapixels: float) -> None:
    shares = {
        str(sample.mask): float(cracked(sample.mask, sample.crack_label, megapixels=megapixels).mean())
        for sample in samples
        if sample.mask is not None
    }
    if not any(shares.values()):
        there = shown(_values(list(map(Path, shares))[:MOST_LOOKED_AT], megapixels))
        raise UserError(
            f"none of {len(shares)} masks shows a crack, such as {next(iter(shares))}: white is crack, or what "
            f"data.crack_label says; there are the values {there}"
        )
    if most := [path for path, share in shares.items() if share > HALF]:
        log.warning(
            "%d of %d masks are mostly crack, such as %s: white is crack, black is sound; invert them if it is the "
            "other way round",
            len(most),
            len(shares),
            most[0],
        )


def _check_turned(samples: Sequence[Sample], *, megapixels: float) -> None:
    """Warn of masks that lie on darker lines when they are turned as EXIF says of their photographs: those that were
    drawn on the picture as the sensor saw it, of which the size does not tell."""
    better, tried = list[Path](), 0
    for sample in samples:
        orientation = camera_facts(sample.path).orientation
        if orientation == 1 or tried == MOST_LOOKED_AT:
            continue
        image = read_image(sample.path, megapixels=megapixels).convert("L")
        mask = Image.fromarray(mask_of(sample, image.size, megapixels=megapixels))
        turned = mask.transpose(ORIENTATIONS[orientation])
        if turned.size == mask.size and np.asarray(mask).any():
            tried += 1
            own, other = _darkness(image, mask), _darkness(image, turned)
            better += [sample.path] if other > LEAST_DARKER and other > 2 * own else []
    if better and 2 * len(better) > tried:
        log.warning(
            "%d of %d masks of photographs that EXIF turns lie on darker lines when they are turned too, such as that "
            "of %s: save masks upright, as viewers show the photograph",
            len(better),
            tried,
            better[0],
        )


def _darkness(grey: Image.Image, mask: Image.Image) -> float:
    """How much darker a photograph is where its mask is crack than around there, in levels."""
    levels = np.asarray(grey, np.float32)
    around = np.asarray(grey.filter(ImageFilter.BoxBlur(AROUND_PX)), np.float32)
    return float((around - levels)[np.asarray(mask)].mean())


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
            return image.size[::-1] if orientation_of(image) in SIDEWAYS else image.size
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"{path} cannot be read: {reason(error)}") from error


def _other_size(mask: Path, own: tuple[int, int], photograph: tuple[int, int]) -> str:
    there, wanted = (f"{width} x {height}" for width, height in (own, photograph))
    return f"{mask} has {there} pixels, its photograph, upright, {wanted}: save the mask at that size"
