"""Pictures as the bytes of a file."""

import io

from PIL import Image


def png(image: Image.Image) -> bytes:
    """Without loss; the level that is fastest, since pictures of photographs hardly become smaller by more."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def jpeg(image: Image.Image, *, quality: int) -> bytes:
    """Of an RGB picture; `quality` as Pillow has it, 0 to 95."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
