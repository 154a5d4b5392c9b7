"""Checks whether photographs can be read: by a fast look at each file's header and end, or by a full decode."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

from crack_lightning.data.images.reading import MOST_MEGAPIXELS, opened, read_image, reason
from crack_lightning.system.files import MAX_REMEMBERED, not_a_file
from crack_lightning.system.processes import closing_pool
from crack_lightning.system.progress import track

TAIL_BYTES = 64
MOST_NAMED = 50  # unreadable files that one message names


def find_unreadable(paths: Sequence[Path], *, decode: bool, megapixels: float = MOST_MEGAPIXELS) -> dict[Path, str]:
    """Returns the files among `paths` that cannot be read, each with the reason.

    Without `decode`, a file is opened (its header parsed) and its last bytes are compared with the end that its format
    has; only a file whose end looks wrong is decoded. With `decode`, every file is. A file of more than `megapixels`
    counts as unreadable.
    """
    with closing_pool(ThreadPoolExecutor(min(8, os.cpu_count() or 1))) as pool:
        # Headers are read one after another: the interpreter does the work, so threads would only contend for it.
        look = partial(_decode_problem if decode else file_problem, megapixels=megapixels)
        problems = pool.map(look, paths) if decode else map(look, paths)
        reasons = list(track(problems, "checking images", total=len(paths)))
    return {path: problem for path, problem in zip(paths, reasons, strict=True) if problem}


def file_problem(path: Path, *, megapixels: float = MOST_MEGAPIXELS) -> str | None:
    """Returns why `path` is not a readable image, or None, judged by its header and end."""
    if problem := not_a_file(path):
        return problem
    status = path.stat()
    return _problem_of(path, status.st_size, status.st_mtime_ns, megapixels)


@lru_cache(MAX_REMEMBERED)
def _problem_of(path: Path, size: int, mtime_ns: int, megapixels: float) -> str | None:
    try:
        with path.open("rb") as file, opened(file, megapixels=megapixels) as image:
            whole = _ends_as_it_should(file, image.format or "")
    except Exception as error:  # decoders raise whatever they like on damaged files
        return reason(error)
    return None if whole else _decode_problem(path, megapixels=megapixels)


def _ends_as_it_should(file: IO[bytes], image_format: str) -> bool:
    """Returns False where the end looks unusual, which may be harmless: some cameras append data of their own."""
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
    return False  # TIFF keeps its pixels anywhere in the file


def _decode_problem(path: Path, *, megapixels: float) -> str | None:
    if problem := not_a_file(path):
        return problem
    try:
        read_image(path, megapixels=megapixels)
    except ValueError as error:
        return reason(error.__cause__ or error)
    return None


def unreadable_message(unreadable: dict[Path, str]) -> str:
    """Returns one message that names the files and both remedies."""
    lines = [f"  {path}: {problem}" for path, problem in list(unreadable.items())[:MOST_NAMED]]
    if len(unreadable) > MOST_NAMED:
        lines.append(f"  ... and {len(unreadable) - MOST_NAMED} more")
    files = "1 image cannot" if len(unreadable) == 1 else f"{len(unreadable)} images cannot"
    return "\n".join(
        [f"{files} be read: repair or remove the files listed, or leave them out with data.on_error=skip", *lines]
    )
