"""The photographs of a project: those of folders that were chosen, and those that were dropped into the page."""

import filecmp
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from crack_lightning.data.images.formats import ending_of, is_image_name, is_unread_photograph, why_unread
from crack_lightning.data.images.reading import opened, reason
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph, check_not_among, find_photographs
from crack_lightning.project.project import UPLOADS, Project, key_of_name
from crack_lightning.runs.inspection.inspected import kept_inspected
from crack_lightning.runs.inspection.photograph_files import folder_of
from crack_lightning.system.files import expanded, short_name, writing_beside

log = logging.getLogger(__name__)

MOST_NAME = 120  # bytes
FORBIDDEN = re.compile(r"[^\w.() +,=@~-]")


def load_photographs(project: Project) -> None:
    """All of the kept sources, that of the options and all that were dropped, with what was found in them before.

    A kept source that is not there any more is a warning: corrections of its photographs wait for it. Raises
    FileNotFoundError for the source of the options.
    """
    for source, below in project.settings.sources:
        try:
            _register(project, _of_source(project, source, below))
        except FileNotFoundError as error:
            log.warning("%s; its photographs are left out", error)
    given = project.options.source
    if given is not None and str(_resolved(given)) not in dict(project.settings.sources):
        add_source(project, given)
    if any(is_image_name(path.name) for path in (project.folder / UPLOADS).glob("*")):
        kept = find_photographs(str(project.folder / UPLOADS)).photographs
        _register(project, [_dropped(each) for each in kept if not each.path.is_symlink()])


def add_source(project: Project, given: str) -> list[str]:
    """Take the photographs of a folder, a file or a pattern on this computer into the project; their keys.

    Raises UserError or FileNotFoundError where there are none, or too many, and for the project's own folder.
    """
    if not given.strip():
        raise FileNotFoundError("no folder is named: give a folder, a file or a pattern")
    with project.guard:
        source = _resolved(given.strip())
        if str(source) in dict(project.settings.sources):
            raise UserError(f"{source} is in this project already")
        if source.is_relative_to(project.folder.resolve()):
            raise UserError(
                f"{source} lies in the project's own folder, which holds results: name the photographs' own"
            )
        below = _free_below(project, source) if project.settings.sources else ""
        if source.is_file() and not is_image_name(source.name):
            raise UserError(f"{source} is no photograph by its name: name a photograph, or a folder of some")
        photographs = _of_source(project, str(source), below)
        _check_count(project, len(photographs))
        project.set(sources=(*project.settings.sources, (str(source), below)))
        return _register(project, photographs)


def _resolved(given: str) -> Path:
    """The one path of a folder, however it is written; a pattern stays as it is."""
    return expanded(given).resolve() if expanded(given).exists() else expanded(given).absolute()


def _free_below(project: Project, source: Path) -> str:
    taken = {PurePosixPath(each.name).parts[0] for each in project.photographs.values()} | {UPLOADS}
    taken |= {PurePosixPath(below).parts[0] for _, below in project.settings.sources if below}
    name = short_name(FORBIDDEN.sub("_", source.name) or "folder")
    return next(f"{each}/" for each in _numbered(name) if each not in taken)


@dataclass
class Upload:
    """A photograph that is being dropped: its name, and the file beside its place that it is written to."""

    project: Project
    name: str
    path: Path
    file: IO[bytes]
    written: int = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of it. Raises UserError for more than may be dropped."""
        self.written += len(chunk)
        check_size(self.project, self.name, self.written)
        self.file.write(chunk)

    def keep(self) -> str:
        """Keep what was written, under a name made of its own; returns its key.

        Raises UserError for what is no picture by its header, or is one too many.
        """
        self.file.flush()
        if not self.written:
            raise UserError(f"{self.name} is empty (0 bytes)")
        try:
            with self.path.open("rb") as file, opened(file, megapixels=self.project.options.max_megapixels) as image:
                ending = "" if is_image_name(self.name) else ending_of(image.format or "")
        except Exception as error:  # decoders raise whatever they like on damaged files
            raise UserError(f"{self.name} is not taken: {reason(error)}") from error
        project = self.project
        with project.guard:
            _check_count(project, 1)  # others may have come meanwhile
            if (same := _same_upload(project, self.path)) is not None:
                return key_of_name(_dropped(Photograph(same, same.name)).name)
            kept = _free_name(project, f"{self.name}{ending}")
            path = project.folder / UPLOADS / kept
            self.path.replace(path)
            return _register(project, [_dropped(Photograph(path, kept))])[0]


@contextmanager
def receiving(project: Project, name: str) -> Iterator[Upload]:
    """A photograph that is dropped, to be written and kept; of one that is not kept nothing is left.

    Raises UserError for a name of no photograph, unless it has no ending, and for one photograph too many.
    """
    kept = _safe_name(name)
    if "." in kept and not is_image_name(kept):
        raise UserError(f"{kept}: {why_unread(kept) if is_unread_photograph(kept) else 'no photograph by its name'}")
    _check_count(project, 1)
    with writing_beside(project.folder / UPLOADS / kept) as partial, partial.open("wb") as file:
        yield Upload(project, kept, partial, file)


def check_size(project: Project, name: str, size: int) -> None:
    """Raise UserError for a photograph of more bytes than may be dropped."""
    if size > project.options.max_upload_mb * 2**20:
        raise UserError(
            f"{_safe_name(name)} has more than max_upload_mb={project.options.max_upload_mb:g}: name its folder instead"
        )


def _check_count(project: Project, more: int) -> None:
    if len(project.photographs) + more > project.options.max_photographs:
        raise UserError(
            f"{len(project.photographs)} photographs and {more} more are more than "
            f"max_photographs={project.options.max_photographs}: start with a larger one, or another project"
        )


def _of_source(project: Project, source: str, below: str) -> list[Photograph]:
    """The photographs of a source, with `below` before their names."""
    photographs = _inside(source, find_photographs(source).photographs)
    check_not_among(project.folder, photographs)
    return [Photograph(each.path, short_name(f"{below}{each.name}")) for each in photographs]


def _dropped(photograph: Photograph) -> Photograph:
    """One of the uploads; their folder stands before its name, so that no other photograph has it."""
    return Photograph(photograph.path, f"{UPLOADS}/{photograph.path.name}")


def _inside(source: str, photographs: Sequence[Photograph]) -> list[Photograph]:
    """Without links that lead out of the source: nobody chose what they point to."""
    given = expanded(source).absolute()
    if given.is_file():
        return list(photographs)
    fixed = next(path for path in (given, *given.parents) if not set("*?[") & set(str(path)) or path.is_dir())
    kept = [each for each in photographs if each.path.resolve().is_relative_to(fixed.resolve())]
    if len(kept) < len(photographs):
        log.warning("%d links that lead out of %s are left out", len(photographs) - len(kept), fixed)
    if not kept:
        raise FileNotFoundError(
            f"{source}: all of its photographs are links that lead out of it; give their own folder"
        )
    return kept


def _register(project: Project, photographs: Iterable[Photograph]) -> list[str]:
    keys = []
    with project.guard:
        for photograph in photographs:
            key = key_of_name(photograph.name)
            known = project.photographs.setdefault(key, photograph)
            if known.path != photograph.path:
                log.warning("%s is left out: another photograph has its name", photograph.path)
                continue
            if (inspected := kept_inspected(folder_of(project.folder, photograph), photograph)) is not None:
                project.inspected[key] = inspected
            keys.append(key)
    return keys


def _safe_name(name: str) -> str:
    """A file's name made of what a browser says that it is called: no folders, no control characters, not hidden."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    safe = PurePosixPath(FORBIDDEN.sub("_", last).strip(" ."))
    stem = safe.stem.encode()[:MOST_NAME].decode("utf-8", "ignore")
    return f"{stem or 'photograph'}{safe.suffix[:10]}"


def _same_upload(project: Project, path: Path) -> Path | None:
    """The upload that holds the same bytes: what is dropped twice is one photograph."""
    size = path.stat().st_size
    for other in sorted((project.folder / UPLOADS).iterdir()):
        known = key_of_name(_dropped(Photograph(other, other.name)).name) in project.photographs
        if known and other.stat().st_size == size and filecmp.cmp(path, other, shallow=False):
            return other
    return None


def _free_name(project: Project, name: str) -> str:
    taken = {each.name for each in (project.folder / UPLOADS).iterdir()}
    stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
    return next(f"{each}{ending}" for each in _numbered(stem) if f"{each}{ending}" not in taken)


def _numbered(name: str) -> Iterable[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, 1_000_000))
