"""Recognises pictures, and photographs in formats that are not read here; encodes PNG and JPEG."""

import io
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image

from crack_lightning.errors import MissingPackage
from crack_lightning.system.libraries import library

# Formats that are read, by Pillow's names, with their extensions. No other decoder is started, whatever a file claims.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".mpo", ".jpg", ".jpeg"),  # written by some cameras: a JPEG followed by a preview
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "DIB": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
}
HEIF_EXTENSIONS = (".heic", ".heif", ".hif")  # HEIC, as phones write it; read if the extra `heif` is installed
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
HEIF_REMEDY = "is HEIC, which needs another library: pip install pillow-heif"
# Formats that are not read: raw files of cameras, and formats in which photographs are rare.
RAW_EXTENSIONS = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    *(".x3f", ".3fr", ".iiq", ".rwl", ".erf", ".kdc", ".mrw", ".raw", ".gpr"),
)
OTHER_EXTENSIONS = (
    *(".gif", ".psd", ".jxl", ".jxr", ".tga", ".svg", ".eps", ".exr", ".hdr", ".fits", ".ico", ".jls", ".pcx"),
)


@cache
def heif_is_read() -> bool:
    """Registers pillow-heif with Pillow; returns whether it is installed."""
    try:
        library("pillow_heif", HEIF_REMEDY).register_heif_opener(thumbnails=False)
    except MissingPackage:
        return False
    return True


@cache
def image_extensions() -> tuple[str, ...]:
    """Returns the extensions, in lower case, of the files that are taken for images."""
    known = dict.fromkeys(ending for endings in FORMATS.values() for ending in endings)
    return (*known, *(HEIF_EXTENSIONS if heif_is_read() else ()))


@cache
def pillow_formats() -> tuple[str, ...]:
    """Returns the formats that Pillow may open here, by its names."""
    from PIL import (  # noqa: F401
        AvifImagePlugin,
        BmpImagePlugin,
        Image,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    return tuple(name for name in (*FORMATS, *(("HEIF",) if heif_is_read() else ())) if name in Image.OPEN)


def is_image_name(name: str) -> bool:
    """Returns whether a file with this name is taken for an image."""
    return name.lower().endswith(image_extensions())


def ending_of(name: str) -> str:
    """Returns the usual extension of files in a format, given by Pillow's name for it."""
    return (*FORMATS.get(name, ()), *HEIF_EXTENSIONS)[0]


def is_unread_photograph(name: str) -> bool:
    """Returns whether a file with this name is a photograph in a format that is not read here."""
    return not is_image_name(name) and name.lower().endswith((*HEIF_EXTENSIONS, *RAW_EXTENSIONS, *OTHER_EXTENSIONS))


def why_unread(name: str) -> str:
    """Returns why a photograph with this name is not read here, and what to do about it."""
    if name.lower().endswith(HEIF_EXTENSIONS):
        return HEIF_REMEDY
    kind = "a raw file of a camera" if name.lower().endswith(RAW_EXTENSIONS) else f"a {Path(name).suffix.lower()} file"
    return f"{kind} is not read: save it as JPEG, PNG or TIFF"


def is_heif(head: bytes) -> bool:
    """Returns whether a file that begins with `head` (at least 12 bytes) is HEIC, whatever its name."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def kinds_of(names: Iterable[str], *, most: int = 5) -> str:
    """Returns the number of names with each extension, as text: `3 .heic, 1 .dng`."""
    counts = Counter(Path(name).suffix.lower() or name for name in names)
    counted = [f"{count} {kind}" for kind, count in counts.most_common(most)]
    return ", ".join([*counted, *([f"{len(counts) - most} more types"] if len(counts) > most else [])])


def png(image: Image.Image) -> bytes:
    """Encodes a picture as PNG, at the fastest level: higher levels hardly make photographs smaller."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def jpeg(image: Image.Image, *, quality: int) -> bytes:
    """Encodes an RGB picture as JPEG; `quality` is Pillow's, 0 to 95."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
