"""Reads any image file as an upright 8-bit RGB picture."""

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

MOST_MEGAPIXELS = 200.0  # unless the caller sets another limit
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
DIM = "16 bits of which nothing is above a sixteenth: it may be of 12 bits or fewer, and is read as nearly black"
NEEDED_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"}  # of PNG; no other chunk changes a pixel

# Pillow's own limit is off: `opened` compares sizes with `megapixels` before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Picture:
    """An upright RGB picture, a doubt about its levels if they had to be guessed, and how many pages the file has."""

    image: Image.Image
    doubt: str = ""
    pages: int = 1


def read_image(path: str | Path, *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Returns the picture in `path` as `read_picture` does; a doubt about its levels is logged once."""
    picture = read_picture(path, megapixels=megapixels)
    if picture.doubt:
        warn_once(f"{path}: {picture.doubt}")
    return picture.image


@lru_cache(10_000)
def warn_once(text: str) -> None:
    """Logs a warning the first time that it is called with this text."""
    log.warning("%s", text)


def read_picture(path: str | Path, *, megapixels: float = MOST_MEGAPIXELS) -> Picture:
    """Returns the first page of `path` that is not reduced: RGB, 8 bits a channel, turned as its orientation says.

    More bits are scaled (not cut off) to 8, transparency is laid over white, CMYK and palettes are converted.

    Raises ValueError that names a file that is not regular, cannot be decoded, or has more than `megapixels`.
    """
    try:
        if problem := not_a_file(Path(path)):
            raise UserError(problem)
        with Path(path).open("rb") as file, opened(file, megapixels=megapixels) as image:
            return decoded(file, image)
    except Exception as error:  # decoders raise whatever they like on damaged files
        verb = "read" if isinstance(error, OSError) and error.strerror else "decoded"
        raise UserError(f"{path} cannot be {verb}: {reason(error)}") from error


def picture_from(image: Image.Image | np.ndarray, *, megapixels: float = MOST_MEGAPIXELS) -> Picture:
    """Returns the picture of a PIL image of any mode, turned as its EXIF says, or of an array (h, w, 3) RGB or (h, w)
    grey, uint8, which is taken as it is.

    Raises UserError for an array of another kind, and for more than `megapixels`.
    """
    if isinstance(image, np.ndarray):
        colours = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        if image.dtype != np.uint8 or not colours or not image.size:
            raise UserError(f"an array {image.dtype} {image.shape}: uint8 (h, w, 3), RGB, or (h, w) is needed")
        image = Image.fromarray(np.ascontiguousarray(image))
    if not isinstance(image, Image.Image):
        raise UserError(f"a {type(image).__name__}: a path, a PIL image or an array uint8 (h, w, 3) is needed")
    if image.width * image.height > megapixels * 1e6:
        raise UserError(_too_many(image.size, megapixels))
    try:
        image.load()
        return Picture(to_rgb(upright(image)))
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise UserError(f"the picture cannot be decoded: {reason(error)}") from error


def _too_many(size: tuple[int, int], megapixels: float) -> str:
    return (
        f"{size[0] * size[1]} pixels are more than max_megapixels={megapixels:g} allows: give a larger one "
        "(data.max_megapixels in train and evaluate) if you trust it"
    )


def opened(file: IO[bytes], *, megapixels: float = MOST_MEGAPIXELS) -> Image.Image:
    """Opens `file` by its header, in the formats that are read here alone; nothing is decoded yet.

    Raises ValueError for HEIC that cannot be read, for a picture of more than `megapixels`, and as Pillow does.
    """
    head = file.read(32)
    file.seek(0)
    if is_heif(head) and "HEIF" not in pillow_formats():
        raise UserError(HEIF_REMEDY)
    try:
        image = Image.open(file, formats=pillow_formats())
    except UnidentifiedImageError as error:
        if head[:4] in (b"II*\0", b"MM\0*"):
            raise UserError("a TIFF of a kind that is not read: save it in grey or RGB, with 8 or 16 bits") from error
        raise
    except ValueError as error:
        if not head.startswith(b"\x89PNG"):
            raise
        image = Image.open(_without_texts(file, error), formats=pillow_formats())
    if image.width * image.height > megapixels * 1e6:
        raise UserError(_too_many(image.size, megapixels))
    return image


def _without_texts(file: IO[bytes], error: Exception) -> IO[bytes]:
    """Removes texts, profiles and times from a PNG, of which Pillow refuses large ones; raises `error` if damaged."""
    file.seek(0)
    kept = [file.read(8)]
    while len(start := file.read(8)) == 8:
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        if kind in NEEDED_CHUNKS:
            kept.append(start + file.read(length + 4))
        else:
            file.seek(length + 4, io.SEEK_CUR)
        if kind == b"IEND":
            return io.BytesIO(b"".join(kept))
    raise error


def decoded(file: IO[bytes], image: Image.Image) -> Picture:
    """Returns the picture in `image`, which `opened` made from `file`."""
    pages = tiff.seek_whole(image) if image.format == "TIFF" else 1
    if image.format == "TIFF" and not tiff.is_plain(image):
        return _deep_tiff(file, image, pages)
    image.load()
    dim = image.mode in SIXTEEN_BIT_MODES and np.asarray(image).max() <= 4095
    dim = dim or (_is_sixteen_bit_png(file, image) and _brightest(image) <= 15)
    return Picture(to_rgb(upright(image)), DIM if dim else "", pages)


def _deep_tiff(file: IO[bytes], image: Image.Image, pages: int) -> Picture:
    page = tiff.read_levels(file, image)
    levels, channels = page.samples, 1 if page.samples.ndim == 2 else page.samples.shape[2]
    colours = levels if levels.ndim == 2 else levels[..., :3] if channels >= 3 else levels[..., 0]
    picture = _from_levels(colours, white=page.white)
    if channels in (2, 4):
        alpha = _from_levels(levels[..., -1], white=page.white).convert("L")
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    if page.orientation in ORIENTATIONS:
        picture = picture.transpose(ORIENTATIONS[page.orientation])
    return Picture(picture, DIM if page.dim else "", pages)


def _is_sixteen_bit_png(file: IO[bytes], image: Image.Image) -> bool:
    if image.format != "PNG":
        return False
    file.seek(24)
    return file.read(1) == b"\x10"


def _brightest(image: Image.Image) -> int:
    bands = image.convert("RGB").getextrema()
    return max(int(high) for _, high in bands)  # type: ignore[misc]


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8, or 1 if there is none. Other tags, which may be damaged, are not read."""
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # a damaged EXIF block does not damage the picture
        return 1
    return orientation if isinstance(orientation, int) and orientation in ORIENTATIONS else 1


def upright(image: Image.Image) -> Image.Image:
    """Returns the picture turned as its EXIF orientation says."""
    orientation = orientation_of(image)
    return image if orientation == 1 else image.transpose(ORIENTATIONS[orientation])


def reason(error: BaseException) -> str:
    """Returns what went wrong in a few words, without the file's name, which the caller states."""
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
    scaled: Any = np.clip(levels * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(scaled).convert("RGB")
