"""Checks whether photographs can be read: quickly, by each file's header and end, or by decoding it in full."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

from crack_lightning.data.images.reading import MOST_MEGAPIXELS, open_image, read_image, reason
from crack_lightning.system.files import MAX_REMEMBERED, not_a_file
from crack_lightning.system.processes import closing_pool
from crack_lightning.system.progress import track

TAIL_BYTES = 64  # length of the end of a file in which its end marker is looked for
MAX_NAMED = 50  # largest number of unreadable files that a message names


def find_unreadable(paths: Sequence[Path], *, decode: bool, megapixels: float = MOST_MEGAPIXELS) -> dict[Path, str]:
    """Returns the files among `paths` that cannot be read, each with the reason.

    Without `decode`, only the header of a file is parsed and its last bytes are compared with the end that its format
    prescribes; a file whose end looks wrong is decoded. With `decode`, every file is decoded. A file with more than
    `megapixels` counts as unreadable.
    """
    with closing_pool(ThreadPoolExecutor(min(8, os.cpu_count() or 1))) as pool:
        # Headers are read one after another: the interpreter does the work, so threads would only contend for it.
        look = partial(_decode_problem if decode else file_problem, megapixels=megapixels)
        problems = pool.map(look, paths) if decode else map(look, paths)
        reasons = list(track(problems, "checking images", total=len(paths)))
    return {path: problem for path, problem in zip(paths, reasons, strict=True) if problem}


def file_problem(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> str | None:
    """Returns why `path` is not a readable image, or None; a file is decoded only if its end looks wrong."""
    if problem := not_a_file(path):
        return problem
    status = path.stat()
    return _cached_problem(path, status.st_size, status.st_mtime_ns, megapixels)


@lru_cache(MAX_REMEMBERED)
def _cached_problem(path: Path, size: int, mtime_ns: int, megapixels: float) -> str | None:
    try:
        with path.open("rb") as file, open_image(file, megapixels=megapixels) as image:
            complete = _has_expected_end(file, image.format or "")
    except Exception as error:  # decoders raise whatever they like on damaged files
        return reason(error)
    return None if complete else _decode_problem(path, megapixels=megapixels)


def _has_expected_end(file: IO[bytes], image_format: str) -> bool:
    """Returns whether a file ends as its format prescribes; if not, it may still be sound: some cameras append data."""
    file.seek(0)
    head = file.read(12)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read()
    if image_format in ("JPEG", "MPO"):
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    if image_format == "PNG":
        return b"IEND" in tail
    if image_format == "BMP":
        return int.from_bytes(head[2:6], "little") == size
    if image_format == "WEBP":
        return int.from_bytes(head[4:8], "little") + 8 <= size
    return False  # in other formats, such as TIFF, the end shows nothing


def _decode_problem(path: Path, *, megapixels: float) -> str | None:
    """Returns why `path` cannot be decoded, or None."""
    if problem := not_a_file(path):
        return problem
    try:
        read_image(path, megapixels=megapixels)
    except ValueError as error:
        return reason(error.__cause__ or error)
    return None


def unreadable_message(unreadable: dict[Path, str]) -> str:
    """Returns an error message that names the unreadable files and two remedies."""
    lines = [f"  {path}: {problem}" for path, problem in list(unreadable.items())[:MAX_NAMED]]
    if len(unreadable) > MAX_NAMED:
        lines.append(f"  ... and {len(unreadable) - MAX_NAMED} more")
    files = "1 image cannot" if len(unreadable) == 1 else f"{len(unreadable)} images cannot"
    return "\n".join(
        [f"{files} be read: repair or remove the files listed, or leave them out with data.on_error=skip", *lines]
    )
