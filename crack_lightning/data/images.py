"""Any image file as an upright 8-bit RGB picture."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
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


def is_image_name(name: str) -> bool:
    """Whether a file of that name is taken for an image."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def read_image(path: Path) -> Image.Image:
    """The first frame of `path`: RGB, 8 bits a channel, turned as its EXIF orientation says.

    16-bit grey is scaled (not cut off) to 8, transparency is laid over white, CMYK and palettes are converted.

    Raises ValueError that names the file when it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return to_rgb(upright(image)[1])
    except Exception as error:  # decoders raise whatever they like on damaged files
        verb = "read" if isinstance(error, OSError) and error.strerror else "decoded"
        raise ValueError(f"{path} cannot be {verb}: {reason(error)}") from error


@contextmanager
def limited_to(megapixels: float) -> Iterator[None]:
    """Within, a file of more pixels cannot be decoded, and one of fewer can, whatever Pillow's own limit is."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = int(megapixels * 1e6)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def upright(image: Image.Image) -> tuple[int, Image.Image]:
    """The EXIF orientation (1 when there is none) and the picture turned as it says.

    The other tags, which may be damaged, are not looked at.
    """
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # a damaged EXIF block is no damage to the picture
        return 1, image
    if not isinstance(orientation, int) or orientation not in ORIENTATIONS:
        return 1, image
    return orientation, image.transpose(ORIENTATIONS[orientation])


def reason(error: BaseException) -> str:
    """What went wrong in a few words, without the file's name, which the caller states."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnidentifiedImageError):
        return "not an image that can be identified"
    return str(error) or type(error).__name__


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode in SIXTEEN_BIT_MODES:
        return _from_levels(np.asarray(image).astype(np.float64), white=65535.0)
    if image.mode == "F":
        levels = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
        return _from_levels(levels, white=next((w for w in (1.0, 255.0) if levels.max() <= w), 65535.0))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _from_levels(levels: np.ndarray, *, white: float) -> Image.Image:
    return Image.fromarray(np.clip(levels * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
