"""Decides which pixels of a mask are crack.

The value that `data.crack_label` names is crack. Without it, the lighter of two values is crack. Of many grey levels,
the upper half is crack. A value is a number: a grey level as it is, any other colour as COLOUR + 0xRRGGBB, a
transparent pixel as TRANSPARENT.
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

from crack_lightning.data.images.reading import SIXTEEN_BIT_MODES, open_image, reason, upright
from crack_lightning.errors import UserError

log = logging.getLogger(__name__)

Array = np.ndarray

COLOUR, TRANSPARENT = 1 << 24, -1
MAX_LABELS = 16  # a mask with more values has grey levels, or colours that JPEG smeared
TOP_LEVELS = (255, 4095, 65_535)  # highest levels of 8, 12 and 16 bits
BRIGHT_SHARE = 0.8  # in a mask that was shrunk, white is at least this share of the highest level
AVERAGED_PIXELS = (4, 16)  # number of pixels averaged when a mask is shrunk: 2 x 2 or 4 x 4
MAX_GREY_SHARE = 0.01  # a warning is logged if more of a mask than this is neither black nor white
MIN_ALPHA = 128  # pixels with a lower alpha are transparent
LOSSLESS_FORMATS = ("PNG", "BMP", "DIB", "TIFF", "PPM")
LABELMAP = "labelmap.txt"  # file of CVAT with lines name:red,green,blue


@dataclass(frozen=True)
class CrackLabel:
    """The value that means crack.

    `is_index` is True if it was given as a number; in a mask with a palette, it is then an index into the palette.
    """

    value: int
    is_index: bool = False


LABEL_ONE = CrackLabel(1, is_index=True)


def parse_crack_label(given: Any, root: Path) -> CrackLabel | None:
    """Returns the value that `data.crack_label` means; None for None.

    It may be a number, a colour, or a name, which labelmap.txt in `root` or in its masks/ may define. Raises UserError
    for anything else.
    """
    if given is None:
        return None
    text = ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given).strip()
    if text.isdecimal():
        return CrackLabel(int(text), is_index=True)
    names = _read_labelmap(root)
    try:
        colour = names.get(text) or ImageColor.getrgb(f"rgb({text})" if "," in text and "(" not in text else text)
    except ValueError as error:
        hint = f"; {LABELMAP} has {', '.join(names)}" if names else ""
        raise UserError(
            f"data.crack_label={given}: must be a value such as 1, a colour such as '#ff0000' or [255,0,0], or a "
            f"name{hint}"
        ) from error
    return CrackLabel(_value_of(*colour[:3]))


def _read_labelmap(root: Path) -> dict[str, tuple[int, ...]]:
    colours: dict[str, tuple[int, ...]] = {}
    for path in (root / "masks" / LABELMAP, root / LABELMAP):
        if path.is_file():
            lines = path.read_text("utf-8", errors="replace").splitlines()
            rows = (line.split(":") for line in lines if line.count(":") and not line.startswith("#"))
            colours |= {name: tuple(map(int, triple.split(","))) for name, triple, *_ in rows if triple.count(",") == 2}
    return colours


def values_of(path: Path, *, megapixels: float) -> set[int] | None:
    """Returns the values in a mask; None if it has grey levels between black and white.

    Raises UserError if it has too many colours.
    """
    image = _open_mask(path, megapixels)
    values = _few_values(image)
    if values is None and image.mode == "RGBA":
        raise UserError(
            f"{path} has more than {MAX_LABELS} colours, as JPEG smears them: save masks as PNG, or say which colour "
            "is crack, such as data.crack_label='#ff0000'"
        )
    return None if values is None or _is_shrunk(values, image) else values


def crack_pixels(path: Path, label: CrackLabel | None, *, megapixels: float) -> Array:
    """Returns which pixels (h, w) of a mask are crack. Raises UserError for a mask that cannot be read."""
    image = _open_mask(path, megapixels, label)
    values, levels = _few_values(image), np.asarray(image)
    if image.mode == "RGBA":
        pixel_values = _pixel_values(levels)
        if label is None:
            return np.asarray(_lightest_pixels(pixel_values, values))
        smeared = values is None or image.format not in LOSSLESS_FORMATS
        return np.asarray(
            _nearest_pixels(levels, label) if smeared and label.value >= COLOUR else pixel_values == label.value
        )
    if values is not None and not _is_shrunk(values, image):
        return np.asarray(_lightest_pixels(levels, values) if label is None else levels == label.value)
    top = next(top for top in TOP_LEVELS if levels.max() <= top)
    grey = float(((levels > top / 8) & (levels < top * 7 / 8)).mean())
    if label is not None and label.value <= top / 2:
        raise UserError(
            f"{path} has many grey levels, among which {label.value} cannot be distinguished: save masks as PNG"
        )
    if grey > MAX_GREY_SHARE:
        log.warning(
            "%s has grey levels in %.0f %% of it: pixels lighter than half are taken for crack", path, 100 * grey
        )
    return np.asarray(levels > top / 2)


def lightest(values: Iterable[int]) -> int:
    """Returns the lightest of `values`."""
    return max(values, key=_brightness)


def format_values(values: Iterable[int]) -> str:
    """Returns `values` as a list that a user would write."""
    return ", ".join("transparent" if value == TRANSPARENT else str(as_option(value)) for value in sorted(values))


def as_option(value: int) -> int | str:
    """Returns `value` as a user gives it in `data.crack_label`."""
    return f"#{value - COLOUR:06x}" if value >= COLOUR else value


def _open_mask(path: Path, megapixels: float, label: CrackLabel | None = None) -> Image.Image:
    """Returns a mask, upright: its mode is L or, with more than 8 bits, I if it is grey; else RGBA."""
    try:
        with path.open("rb") as file, open_image(file, megapixels=megapixels) as image:
            image.load()
            file_format, image = image.format, upright(image)
            if image.mode == "P" and label is not None and label.is_index:
                return Image.fromarray(np.asarray(image))
            if image.mode == "1":  # some programs take its white for 1, others for 255
                return Image.fromarray(np.uint8(np.asarray(image)) * np.uint8(1 if label == LABEL_ONE else 255))
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


def _value_of(red: int, green: int, blue: int) -> int:
    """Returns the value of a colour."""
    return red if red == green == blue else COLOUR + (red << 16) + (green << 8) + blue


def _pixel_values(pixels: Array) -> Array:
    """Returns the values (h, w) of colours (h, w, 4), which are red, green, blue and alpha."""
    red, green, blue, alpha = np.moveaxis(pixels.astype(np.int32), 2, 0)
    colours = COLOUR + (red << 16) + (green << 8) + blue
    pixel_values = np.where((red == green) & (green == blue), red, colours)
    return np.where(alpha < MIN_ALPHA, TRANSPARENT, pixel_values)


def _few_values(image: Image.Image) -> set[int] | None:
    """Returns the values in a picture; None if there are more than MAX_LABELS."""
    if image.mode == "I":
        pixel_values = np.unique(np.asarray(image))
        return set(pixel_values.tolist()) if len(pixel_values) <= MAX_LABELS else None
    colours: Any = image.getcolors(4 * MAX_LABELS)  # more than MAX_LABELS, since all transparent colours are one value
    if colours is None:
        return None
    values = {colour if image.mode == "L" else int(_pixel_values(np.array([[colour]]))[0, 0]) for _, colour in colours}
    return values if len(values) <= MAX_LABELS else None


def _is_shrunk(values: set[int], image: Image.Image) -> bool:
    """Returns whether the values between black and white come from shrinking a mask.

    They do if all are averages of a few black and white pixels, and none of them fills an area of 3 x 3 pixels.
    """
    top, between = max(values), sorted(values)[1:-1]
    if image.mode == "RGBA" or not between:
        return False
    if top < BRIGHT_SHARE * next(highest for highest in TOP_LEVELS if top <= highest):
        return False
    averages = any(all(_is_average(value, top, count) for value in values) for count in AVERAGED_PIXELS)
    levels = np.asarray(image)
    solid = (ndimage.minimum_filter(levels, 3) == levels) & (ndimage.maximum_filter(levels, 3) == levels)
    return averages and not np.isin(levels[solid], between).any()


def _is_average(value: int, top: int, count: int) -> bool:
    """Returns whether `value` is, within one level, the average of `count` pixels that are black or `top`."""
    white_pixels = value * count / top
    return abs(white_pixels - round(white_pixels)) * top / count <= 1


def _brightness(value: int) -> float:
    """Returns the brightness of a value, 0 to 255 for a colour."""
    if value < COLOUR:
        return value
    red, green, blue = (value - COLOUR).to_bytes(3, "big")
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _lightest_pixels(pixel_values: Array, values_or_none: set[int] | None) -> Array:
    """Returns which pixels (h, w) have the lighter of two values; if there are not two, which are not black."""
    values = values_or_none or set()
    return pixel_values == lightest(values) if len(values) == 2 else pixel_values > 0


def _nearest_pixels(pixels: Array, label: CrackLabel) -> Array:
    """Returns which pixels (h, w) are nearer to the colour of `label` than to black and to white."""
    colours: Sequence[tuple[int, ...]] = [tuple((label.value - COLOUR).to_bytes(3, "big")), (0, 0, 0), (255, 255, 255)]
    distances = [((pixels[..., :3].astype(np.int32) - np.array(colour)) ** 2).sum(axis=2) for colour in colours]
    return (distances[0] < distances[1]) & (distances[0] < distances[2])
