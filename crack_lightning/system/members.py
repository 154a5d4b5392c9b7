"""Files within tar archives, by paths that say where their bytes lie: ARCHIVE.tar/START+SIZE/name.

A tar stores a file's bytes as they are, so that one is read with a seek, without looking through the archive.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SUFFIX = ".tar"
PLACE = re.compile(r"(\d+)\+(\d+)")


@dataclass(frozen=True)
class Member:
    """A file of `size` bytes from `start` on in an archive."""

    archive: Path
    start: int
    size: int


def member_path(archive: str, start: int, size: int, name: str) -> Path:
    """The path of a member that is called `name`; made at once, for millions of them."""
    return Path(f"{archive}/{start}+{size}/{name}")


def member_of(path: Path) -> Member | None:
    """Which member of an archive a path names; None for a path of the disk."""
    if SUFFIX not in str(path):
        return None
    parts = path.parts
    for number, part in enumerate(parts[:-1]):
        if part.endswith(SUFFIX) and (place := PLACE.fullmatch(parts[number + 1])):
            return Member(Path(*parts[: number + 1]), int(place[1]), int(place[2]))
    return None


def open_bytes(path: Path) -> IO[bytes]:
    """A file of the disk, or a member's bytes, to read from."""
    member = member_of(path)
    if member is None:
        return path.open("rb")
    with member.archive.open("rb") as file:
        file.seek(member.start)
        return io.BytesIO(file.read(member.size))
