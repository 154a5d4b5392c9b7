"""Reads image files as upright 8-bit RGB pictures."""

import io
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from crack_lightning.data.images import tiff
from crack_lightning.data.images.formats import HEIF_REMEDY, is_heif, pillow_formats
from crack_lightning.errors import UserError
from crack_lightning.system.files import not_a_file

log = logging.getLogger(__name__)

MOST_MEGAPIXELS = 200.0  # larger pictures are refused, unless the caller sets another limit
ORIENTATIONS = {  # what makes a picture upright, by EXIF orientation; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
DIM_DOUBT = "16 bits of which nothing is above a sixteenth: it may have only 12 bits, and is read as nearly black"
NEEDED_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"}  # in a PNG, only these affect pixels

# Pillow's own limit is off, because `open_image` compares sizes with `megapixels` before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Picture:
    """A picture that was read.

    `image` is upright, in RGB. `doubt` says why its levels may be wrong; it is empty if they are certain. `pages` is
    the number of full-size pages in the file.
    """

    image: Image.Image
    doubt: str = ""
    pages: int = 1


def read_image(path: str | Path, *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Returns the picture in `path`, as `read_picture` does, and logs a doubt about its levels once."""
    picture = read_picture(path, megapixels=megapixels)
    if picture.doubt:
        warn_once(f"{path}: {picture.doubt}")
    return picture.image


@lru_cache(10_000)
def warn_once(text: str) -> None:
    """Logs `text` as a warning, but only once in a process."""
    log.warning("%s", text)


def read_picture(path: str | Path, *, megapixels: float = MOST_MEGAPIXELS) -> Picture:
    """Returns the first full-size page of `path` in RGB, 8 bits per channel, turned upright by its orientation.

    Levels of more than 8 bits are scaled to 8, not cut off; transparent pixels are blended with white; CMYK and
    palettes are converted to RGB.

    Raises ValueError, which names the file, if it is not a regular file, cannot be decoded or has more than
    `megapixels`.
    """
    try:
        if problem := not_a_file(Path(path)):
            raise UserError(problem)
        with Path(path).open("rb") as file, open_image(file, megapixels=megapixels) as image:
            return decode_image(file, image)
    except Exception as error:  # decoders raise whatever they like on damaged files
        verb = "read" if isinstance(error, OSError) and error.strerror else "decoded"
        raise UserError(f"{path} cannot be {verb}: {reason(error)}") from error


def picture_from(image: Image.Image | np.ndarray, *, megapixels: float = MOST_MEGAPIXELS) -> Picture:
    """Returns the picture of a PIL image or of an array.

    The PIL image may have any mode and is turned upright by its EXIF. The array is uint8, (h, w, 3) RGB or (h, w) grey,
    and is not turned. Raises UserError for any other array, and for more than `megapixels`.
    """
    if isinstance(image, np.ndarray):
        colours = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        if image.dtype != np.uint8 or not colours or not image.size:
            raise UserError(f"an array {image.dtype} {image.shape}: must be uint8 (h, w, 3), RGB, or (h, w), not empty")
        if image.shape[0] * image.shape[1] > megapixels * 1e6:
            raise UserError(_too_many_pixels(image.shape[1::-1], megapixels))
        image = Image.fromarray(np.ascontiguousarray(image))
    if not isinstance(image, Image.Image):
        raise UserError(f"a {type(image).__name__}: must be a path, a PIL image or an array uint8 (h, w, 3)")
    if image.width * image.height > megapixels * 1e6:
        raise UserError(_too_many_pixels(image.size, megapixels))
    try:
        image.load()
        brightest = float(np.asarray(image).max()) if image.mode in (*SIXTEEN_BIT_MODES, "F") else 0.0
        if image.mode == "F" and brightest > 1:
            raise UserError(f"its mode is F with values up to {brightest:g}, and 1 is white: convert it to L or RGB")
        dim = image.mode in SIXTEEN_BIT_MODES and brightest <= 4095
        return Picture(to_rgb(upright(image)), DIM_DOUBT if dim else "")
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"the picture cannot be decoded: {reason(error)}") from error


def _too_many_pixels(size: tuple[int, int], megapixels: float) -> str:
    return (
        f"{size[0] * size[1]} pixels are more than max_megapixels={megapixels:g} allows: give a larger one "
        "(data.max_megapixels in train and evaluate) if you trust it"
    )


def open_image(file: IO[bytes], *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Opens `file` by its header, if it has one of the formats that are read here; decodes nothing yet.

    Raises ValueError for HEIC without its library and for more than `megapixels`; otherwise raises what Pillow raises.
    """
    head = file.read(32)
    file.seek(0)
    if is_heif(head) and "HEIF" not in pillow_formats():
        raise UserError(HEIF_REMEDY)
    try:
        image = Image.open(file, formats=pillow_formats())
    except UnidentifiedImageError as error:
        if head[:4] in (b"II*\0", b"MM\0*"):
            raise UserError("a TIFF of a type that is not read: save it in grey or RGB, with 8 or 16 bits") from error
        raise
    except ValueError as error:
        if not head.startswith(b"\x89PNG"):
            raise
        image = Image.open(_without_metadata(file, error), formats=pillow_formats())
    if image.width * image.height > megapixels * 1e6:
        raise UserError(_too_many_pixels(image.size, megapixels))
    return image


def _without_metadata(file: IO[bytes], error: Exception) -> IO[bytes]:
    """Returns a PNG without its texts, profiles and times, which Pillow refuses if they are large.

    Raises `error` if the file is damaged.
    """
    file.seek(0)
    parts = [file.read(8)]
    while len(head_of_chunk := file.read(8)) == 8:
        length, chunk_type = int.from_bytes(head_of_chunk[:4], "big"), head_of_chunk[4:]
        if chunk_type in NEEDED_CHUNKS:
            parts.append(head_of_chunk + file.read(length + 4))
        else:
            file.seek(length + 4, io.SEEK_CUR)
        if chunk_type == b"IEND":
            return io.BytesIO(b"".join(parts))
    raise error


def decode_image(file: IO[bytes], image: Image.Image) -> Picture:
    """Returns the picture in `image`, which `open_image` made from `file`."""
    pages = tiff.seek_full_size(image) if image.format == "TIFF" else 1
    if image.format == "TIFF" and not tiff.is_plain(image):
        return _decode_deep_tiff(file, image, pages)
    image.load()
    dim = image.mode in SIXTEEN_BIT_MODES and np.asarray(image).max() <= 4095
    dim = dim or (_is_sixteen_bit_png(file, image) and _brightest(image) <= 15)
    return Picture(to_rgb(upright(image)), DIM_DOUBT if dim else "", pages)


def _decode_deep_tiff(file: IO[bytes], image: Image.Image, pages: int) -> Picture:
    """Returns the picture of a TIFF whose levels Pillow does not read correctly."""
    page = tiff.read_levels(file, image)
    levels, channels = page.samples, 1 if page.samples.ndim == 2 else page.samples.shape[2]
    colours = levels if levels.ndim == 2 else levels[..., :3] if channels >= 3 else levels[..., 0]
    picture = _from_levels(colours, white=page.white)
    if channels in (2, 4):
        alpha = _from_levels(levels[..., -1], white=page.white).convert("L")
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    if page.orientation in ORIENTATIONS:
        picture = picture.transpose(ORIENTATIONS[page.orientation])
    return Picture(picture, DIM_DOUBT if page.dim else "", pages)


def _is_sixteen_bit_png(file: IO[bytes], image: Image.Image) -> bool:
    if image.format != "PNG":
        return False
    file.seek(24)
    return file.read(1) == b"\x10"


def _brightest(image: Image.Image) -> int:
    """Returns the highest of all levels, 0 to 255."""
    bands = image.convert("RGB").getextrema()
    return max(int(high) for _, high in bands)  # type: ignore[misc]


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8, or 1 if there is none; ignores other tags, which may be damaged."""
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # a damaged EXIF block does not damage the picture
        return 1
    return orientation if isinstance(orientation, int) and orientation in ORIENTATIONS else 1


def upright(image: Image.Image) -> Image.Image:
    """Returns the picture turned upright by its EXIF orientation."""
    orientation = orientation_of(image)
    return image if orientation == 1 else image.transpose(ORIENTATIONS[orientation])


def reason(error: BaseException) -> str:
    """Returns what went wrong in a few words, without the name of the file, which the caller adds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnidentifiedImageError):
        return "not an image that can be identified"
    return str(error) or type(error).__name__


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts a picture of any mode to RGB."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode in SIXTEEN_BIT_MODES:
        return _from_levels(np.asarray(image).astype(np.float64), white=65535.0)
    if image.mode == "F":
        return _from_levels(np.nan_to_num(np.asarray(image).astype(np.float64)), white=1.0)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _from_levels(levels: np.ndarray, *, white: float) -> Image.Image:
    """Returns an 8-bit RGB picture of levels from 0 to `white`."""
    scaled: Any = np.clip(levels * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(scaled).convert("RGB")
