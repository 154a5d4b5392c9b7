"""Takes photographs that are dropped into the page, and keeps them in the project's folder."""

import filecmp
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from crack_lightning.data.images.formats import ending_of, is_image_name, is_unread_photograph, why_unread
from crack_lightning.data.images.reading import open_image, reason
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.project.project import UPLOADS, Project
from crack_lightning.project.site_photographs import (
    FORBIDDEN_CHARACTERS,
    check_count,
    numbered_names,
    register,
    uploaded,
)
from crack_lightning.system.files import writing_beside

MAX_NAME_BYTES = 120  # of an upload's name, without its ending


@dataclass
class Upload:
    """A photograph that is being uploaded: its `name`, and the temporary `file`, at `path`, that receives its bytes."""

    project: Project
    name: str
    path: Path
    file: IO[bytes]
    written: int = 0

    def write(self, chunk: bytes) -> None:
        """Writes the next bytes of the photograph. Raises UserError where it becomes larger than allowed."""
        self.written += len(chunk)
        check_size(self.project, self.name, self.written)
        self.file.write(chunk)

    def keep(self) -> str:
        """Adds the complete upload to the project, under a free name made from its own name; returns its key.

        Raises UserError where its header is not that of a picture, or the project would have too many photographs.
        """
        self.file.flush()
        if not self.written:
            raise UserError(f"{self.name} is empty (0 bytes)")
        try:
            with (
                self.path.open("rb") as file,
                open_image(file, megapixels=self.project.options.max_megapixels) as image,
            ):
                ending = "" if is_image_name(self.name) else ending_of(image.format or "")
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise UserError(f"{self.name} is not taken: {reason(error)}") from error
        project = self.project
        with project.guard:
            check_count(project, 1)  # other uploads may have been added meanwhile
            if (twin := _same_photograph(project, self.path)) is not None:
                return twin
            free_name = _free_name(project, f"{self.name}{ending}")
            path = project.folder / UPLOADS / free_name
            self.path.replace(path)
            return register(project, [uploaded(Photograph(path, free_name))])[0]


@contextmanager
def receiving(project: Project, name: str) -> Iterator[Upload]:
    """Yields an upload, to be written and kept; if it is not kept, its temporary file is removed.

    Raises UserError where the name has an ending that is not a photograph's, or the project would have too many
    photographs.
    """
    safe_name = _safe_name(name)
    if "." in safe_name and not is_image_name(safe_name):
        is_unread = is_unread_photograph(safe_name)
        problem = why_unread(safe_name) if is_unread else "it does not have the name of a photograph"
        raise UserError(f"{safe_name}: {problem}")
    check_count(project, 1)
    with writing_beside(project.folder / UPLOADS / safe_name) as partial, partial.open("wb") as file:
        yield Upload(project, safe_name, partial, file)


def check_size(project: Project, name: str, size: int) -> None:
    """Raises UserError for an upload of more than `max_upload_mb`; `size` is in bytes."""
    if size > project.options.max_upload_mb * 2**20:
        raise UserError(
            f"{_safe_name(name)} is larger than max_upload_mb={project.options.max_upload_mb:g}: add its folder"
        )


def _safe_name(name: str) -> str:
    """Returns a safe file name for the `name` that a browser sends: no folders, no control characters, not hidden."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    safe = PurePosixPath(FORBIDDEN_CHARACTERS.sub("_", last).strip(" ."))
    stem = safe.stem.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")
    return f"{stem or 'photograph'}{safe.suffix[:10]}"


def _same_photograph(project: Project, path: Path) -> str | None:
    """Returns the key of a photograph with the same bytes as `path`, so that none is added twice; None without one."""
    size = path.stat().st_size
    for key, photograph in project.photographs.items():
        other = photograph.path
        if other.is_file() and other.stat().st_size == size and filecmp.cmp(path, other, shallow=False):
            return key
    return None


def _free_name(project: Project, name: str) -> str:
    taken = {path.name for path in (project.folder / UPLOADS).iterdir()}
    stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
    return next(f"{numbered}{ending}" for numbered in numbered_names(stem) if f"{numbered}{ending}" not in taken)
