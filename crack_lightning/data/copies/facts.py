"""Collects facts about an image file in a single reading of it."""

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from crack_lightning.data.copies.fingerprints import SIDE, fingerprint
from crack_lightning.data.images.formats import FORMATS, HEIF_EXTENSIONS
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, decode_image, open_image, orientation_of, reason
from crack_lightning.data.images.scans import zero_run
from crack_lightning.system.files import not_a_file
from crack_lightning.system.processes import in_processes

DRAFT_PX = 256  # a large JPEG is decoded at an eighth, a quarter or half of its size, but not smaller than this


def _empty_print() -> np.ndarray:
    return np.zeros((SIDE, SIDE), np.float32)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts about an image file.

    `problem` says why it cannot be read; all fields but `path`, `bytes` and `digest` are then empty. `width_px` and
    `height_px` are those of the upright picture. `orientation` is the EXIF tag, 1 if there is none. `doubt` is the same
    as in `Picture`. `mean` and `standard_deviation` are in grey levels, 0 to 255. `zero_run` and `fingerprint` are the
    results of the functions of these names.
    """

    path: Path
    bytes: int = 0
    digest: str = ""
    problem: str = ""
    format: str = ""
    mode: str = ""
    width_px: int = 0
    height_px: int = 0
    orientation: int = 1
    frames: int = 1
    doubt: str = ""
    zero_run: int = 0
    mean: float = 0.0
    standard_deviation: float = 0.0
    fingerprint: np.ndarray = field(default_factory=_empty_print)

    @property
    def extension_fits(self) -> bool:
        """Returns whether the file's extension fits its format."""
        return self.path.suffix.lower() in (HEIF_EXTENSIONS if self.format == "HEIF" else FORMATS.get(self.format, ()))


def file_facts(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> FileFacts:
    """Returns facts about a file after decoding it. Raises nothing: what goes wrong becomes the `problem`."""
    if problem := not_a_file(path):
        return FileFacts(path, problem=problem)
    try:
        content = path.read_bytes()
    except OSError as error:
        return FileFacts(path, problem=reason(error))
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()  # as in content_hash
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large pictures (too large ones raise) and damaged tags
            return _describe(path, content, digest, megapixels)
    except Exception as error:  # decoders raise whatever they like on damaged files
        return FileFacts(path, len(content), digest, problem=reason(error))


def read_facts(paths: Sequence[Path], *, workers: int | None, megapixels: float = MOST_MEGAPIXELS) -> list[FileFacts]:
    """Returns the facts of every file, in the order of `paths`, read by `workers` processes (None: one per core)."""
    return in_processes(partial(file_facts, megapixels=megapixels), paths, "reading", workers=workers)


def _describe(path: Path, content: bytes, digest: str, megapixels: float) -> FileFacts:
    file = io.BytesIO(content)
    with open_image(file, megapixels=megapixels) as image:
        mode, image_format, frames = image.mode, image.format or "", getattr(image, "n_frames", 1)
        orientation, size = orientation_of(image), image.size
        image.draft(None, (DRAFT_PX, DRAFT_PX))
        picture = decode_image(file, image)
    grey = picture.image.convert("L")
    if image_format not in ("JPEG", "MPO"):
        size = picture.image.size
    elif orientation >= 5:
        size = size[::-1]
    levels = np.asarray(grey)
    return FileFacts(
        path=path,
        bytes=len(content),
        digest=digest,
        format=image_format,
        mode=mode,
        width_px=size[0],
        height_px=size[1],
        orientation=orientation,
        frames=frames,
        doubt=picture.doubt,
        zero_run=zero_run(content),
        mean=float(levels.mean()),
        standard_deviation=float(levels.std()),
        fingerprint=fingerprint(grey),
    )
