"""Facts about an image file, from one reading of it."""

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from crack_lightning.data.copies.fingerprints import SIDE, fingerprint
from crack_lightning.data.images.formats import FORMATS, HEIF
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, decoded, opened, orientation_of, reason
from crack_lightning.data.images.scans import zero_run
from crack_lightning.system.files import not_a_file
from crack_lightning.system.processes import in_processes

DRAFT_PX = 256  # a large JPEG is decoded at an eighth, quarter or half of its size, not below this


def _empty_print() -> np.ndarray:
    return np.zeros((SIDE, SIDE), np.float32)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts about an image file. `problem` says why it cannot be read, and then only path, bytes and digest are valid.

    Sizes are of the upright picture; `mean` and `deviation` are grey levels, 0 to 255; `orientation` is the EXIF tag,
    1 where there is none; `doubt` is as in `Picture`; `zero_run` and `print` are what the functions `zero_run` and
    `fingerprint` return.
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
    deviation: float = 0.0
    print: np.ndarray = field(default_factory=_empty_print)

    @property
    def extension_fits(self) -> bool:
        """Returns whether the file's extension fits its format."""
        return self.path.suffix.lower() in (HEIF if self.format == "HEIF" else FORMATS.get(self.format, ()))


def file_facts(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> FileFacts:
    """Reads and decodes a file and describes it. Raises nothing: what goes wrong is the `problem`."""
    if problem := not_a_file(path):
        return FileFacts(path, problem=problem)
    try:
        content = path.read_bytes()
    except OSError as error:
        return FileFacts(path, problem=reason(error))
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()  # as in content_hash
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of large pictures and damaged tags; too large ones raise
            return _described(path, content, digest, megapixels)
    except Exception as error:  # decoders raise whatever they like on damaged files
        return FileFacts(path, len(content), digest, problem=reason(error))


def read_facts(paths: Sequence[Path], *, workers: int | None, megapixels: float = MOST_MEGAPIXELS) -> list[FileFacts]:
    """Returns the facts of every file, in the order of `paths`, read by `workers` processes (None: one a core)."""
    return in_processes(partial(file_facts, megapixels=megapixels), paths, "reading", workers=workers)


def _described(path: Path, content: bytes, digest: str, megapixels: float) -> FileFacts:
    file = io.BytesIO(content)
    with opened(file, megapixels=megapixels) as image:
        mode, kind, frames = image.mode, image.format or "", getattr(image, "n_frames", 1)
        orientation, size = orientation_of(image), image.size
        image.draft(None, (DRAFT_PX, DRAFT_PX))
        picture = decoded(file, image)
    grey = picture.image.convert("L")
    if kind not in ("JPEG", "MPO"):
        size = picture.image.size
    elif orientation >= 5:
        size = size[::-1]
    levels = np.asarray(grey)
    return FileFacts(
        path=path,
        bytes=len(content),
        digest=digest,
        format=kind,
        mode=mode,
        width_px=size[0],
        height_px=size[1],
        orientation=orientation,
        frames=frames,
        doubt=picture.doubt,
        zero_run=zero_run(content),
        mean=float(levels.mean()),
        deviation=float(levels.std()),
        print=fingerprint(grey),
    )
