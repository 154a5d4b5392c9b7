"""Decides which pixels of a mask are crack: of two values the lighter, of grey levels the upper half, else the named.

Values are numbers: grey levels as they are, other colours COLOUR + 0xRRGGBB, transparent pixels TRANSPARENT.
"""

import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor
from scipy import ndimage

from crack_lightning.data.images.reading import SIXTEEN_BIT_MODES, opened, reason, upright
from crack_lightning.errors import UserError

log = logging.getLogger(__name__)

Array = np.ndarray

COLOUR, TRANSPARENT = 1 << 24, -1
MOST_LABELS = 16  # values of a mask: more are grey levels, or colours that JPEG smeared
TOPS = (255, 4095, 65_535)  # the highest level of 8, 12 and 16 bits
BRIGHT, PARTS = 0.8, (4, 16)  # share of the top; black and white pixels to an average, 2 x 2 and 4 x 4
GREYS = 0.01  # share of pixels neither black nor white, above which a mask is warned of
OPAQUE = 128
WITHOUT_LOSS = ("PNG", "BMP", "DIB", "TIFF", "PPM")
NAMES = "labelmap.txt"  # of CVAT: name:red,green,blue


@dataclass(frozen=True)
class CrackLabel:
    """The value that is crack; `is_index` if it was given as a number, which in a palette is the index of a colour."""

    number: int
    is_index: bool = False


ONE = CrackLabel(1, is_index=True)


def label_of(given: Any, root: Path) -> CrackLabel | None:
    """Returns the meaning of `data.crack_label`: a value, a colour, or a name, which labelmap.txt in `root` or its
    masks/ may define; None for None. Raises UserError for anything else."""
    if given is None:
        return None
    text = ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given).strip()
    if text.isdecimal():
        return CrackLabel(int(text), is_index=True)
    names = _names(root)
    try:
        colour = names.get(text) or ImageColor.getrgb(f"rgb({text})" if "," in text and "(" not in text else text)
    except ValueError as error:
        known = f"; {NAMES} has {', '.join(names)}" if names else ""
        raise UserError(
            f"data.crack_label={given}: a value such as 1, a colour such as '#ff0000' or [255,0,0], or a name{known}"
        ) from error
    return CrackLabel(_number(*colour[:3]))


def _names(root: Path) -> dict[str, tuple[int, ...]]:
    colours: dict[str, tuple[int, ...]] = {}
    for path in (root / "masks" / NAMES, root / NAMES):
        if path.is_file():
            lines = path.read_text("utf-8", errors="replace").splitlines()
            rows = (line.split(":") for line in lines if line.count(":") and not line.startswith("#"))
            colours |= {name: tuple(map(int, triple.split(","))) for name, triple, *_ in rows if triple.count(",") == 2}
    return colours


def values_of(path: Path, *, megapixels: float) -> set[int] | None:
    """Returns the values of a mask; None where it has grey levels between black and white."""
    image = _opened(path, megapixels)
    values = _few_values(image)
    if values is None and image.mode == "RGBA":
        raise UserError(
            f"{path} has more than {MOST_LABELS} colours, as JPEG smears them: save masks as PNG, or say which colour "
            "is crack, such as data.crack_label='#ff0000'"
        )
    return None if values is None or _is_smooth(values, image) else values


def cracked(path: Path, label: CrackLabel | None, *, megapixels: float) -> Array:
    """Returns which pixels (h, w) of a mask are crack. Raises UserError for one that cannot be read."""
    image = _opened(path, megapixels, label)
    values, levels = _few_values(image), np.asarray(image)
    if image.mode == "RGBA":
        numbers = _numbers(levels)
        if label is None:
            return np.asarray(_lighter_pixels(numbers, values))
        smeared = values is None or image.format not in WITHOUT_LOSS
        return np.asarray(
            _nearest_pixels(levels, label) if smeared and label.number >= COLOUR else numbers == label.number
        )
    if values is not None and not _is_smooth(values, image):
        return np.asarray(_lighter_pixels(levels, values) if label is None else levels == label.number)
    top = next(top for top in TOPS if levels.max() <= top)
    grey = float(((levels > top / 8) & (levels < top * 7 / 8)).mean())
    if label is not None and label.number <= top / 2:
        raise UserError(
            f"{path} has levels of grey, in which {label.number} cannot be distinguished: save masks as PNG"
        )
    if grey > GREYS:
        log.warning("%s has grey levels, %.0f %% of it: crack is what is lighter than half", path, 100 * grey)
    return np.asarray(levels > top / 2)


def lighter(values: Iterable[int]) -> int:
    """Returns the lightest of values."""
    return max(values, key=_brightness)


def shown(values: Iterable[int]) -> str:
    """Returns values as a user would write them."""
    return ", ".join("transparent" if value == TRANSPARENT else str(as_option(value)) for value in sorted(values))


def as_option(value: int) -> int | str:
    """Returns a value as `label_of` takes it."""
    return f"#{value - COLOUR:06x}" if value >= COLOUR else value


def _opened(path: Path, megapixels: float, label: CrackLabel | None = None) -> Image.Image:
    """Returns an upright mask of levels (L, or I with more than 8 bits) or of colours (RGBA)."""
    try:
        with path.open("rb") as file, opened(file, megapixels=megapixels) as image:
            image.load()
            file_format, image = image.format, upright(image)
            if image.mode == "P" and label is not None and label.is_index:
                return Image.fromarray(np.asarray(image))
            if image.mode == "1":  # whose white is 1 to some programs, 255 to others
                return Image.fromarray(np.uint8(np.asarray(image)) * np.uint8(1 if label == ONE else 255))
            if image.mode in SIXTEEN_BIT_MODES:
                return Image.fromarray(np.asarray(image).astype(np.int32))
            if image.mode == "L":
                return image
            colours = image.convert("RGBA")
            colours.format = file_format
            plain = colours.getchannel("A").getextrema() == (255, 255) and _is_grey(colours)
            return colours.getchannel(0) if plain else colours
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"{path} cannot be read: {reason(error)}") from error


def _is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return all(
        np.array_equal(pixels[..., first], pixels[..., second]) for first, second in itertools.pairwise(range(3))
    )


def _number(red: int, green: int, blue: int) -> int:
    return red if red == green == blue else COLOUR + (red << 16) + (green << 8) + blue


def _numbers(pixels: Array) -> Array:
    """Returns the values (h, w) of colours (h, w, 4)."""
    red, green, blue, alpha = np.moveaxis(pixels.astype(np.int32), 2, 0)
    colours = COLOUR + (red << 16) + (green << 8) + blue
    numbers = np.where((red == green) & (green == blue), red, colours)
    return np.where(alpha < OPAQUE, TRANSPARENT, numbers)


def _few_values(image: Image.Image) -> set[int] | None:
    """Returns the values of a picture; None where there are more than MOST_LABELS."""
    if image.mode == "I":
        numbers = np.unique(np.asarray(image))
        return set(numbers.tolist()) if len(numbers) <= MOST_LABELS else None
    colours: Any = image.getcolors(4 * MOST_LABELS)  # transparent pixels may have many
    if colours is None:
        return None
    values = {colour if image.mode == "L" else int(_numbers(np.array([[colour]]))[0, 0]) for _, colour in colours}
    return values if len(values) <= MOST_LABELS else None


def _is_smooth(values: set[int], image: Image.Image) -> bool:
    """Returns whether values between black and white come from shrinking a mask: they are averages of some black and
    white pixels, and none of them fills an area."""
    top, between = max(values), sorted(values)[1:-1]
    if image.mode == "RGBA" or not between or top < BRIGHT * next(highest for highest in TOPS if top <= highest):
        return False
    averages = any(all(abs(value * n / top - round(value * n / top)) * top / n <= 1 for value in values) for n in PARTS)
    levels = np.asarray(image)
    solid = (ndimage.minimum_filter(levels, 3) == levels) & (ndimage.maximum_filter(levels, 3) == levels)
    return averages and not np.isin(levels[solid], between).any()


def _brightness(value: int) -> float:
    if value < COLOUR:
        return value
    red, green, blue = (value - COLOUR).to_bytes(3, "big")
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _lighter_pixels(numbers: Array, known: set[int] | None) -> Array:
    """Returns the pixels (h, w) of the lighter of two values, or of any value but black."""
    values = known or set()
    return numbers == lighter(values) if len(values) == 2 else numbers > 0


def _nearest_pixels(pixels: Array, label: CrackLabel) -> Array:
    """Returns the pixels (h, w) that are nearer to a colour than to black and to white."""
    colours: Sequence[tuple[int, ...]] = [tuple((label.number - COLOUR).to_bytes(3, "big")), (0, 0, 0), (255, 255, 255)]
    distances = [((pixels[..., :3].astype(np.int32) - np.array(colour)) ** 2).sum(axis=2) for colour in colours]
    return (distances[0] < distances[1]) & (distances[0] < distances[2])
