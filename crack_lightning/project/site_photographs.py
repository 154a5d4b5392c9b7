"""Adds photographs to a project: those in chosen folders, and those that are dropped into the page."""

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
from crack_lightning.data.images.reading import open_image, reason
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph, check_output_folder, find_photographs
from crack_lightning.project.project import UPLOADS, Project, key_of_name
from crack_lightning.runs.inspection.inspected import kept_inspected
from crack_lightning.runs.inspection.photograph_files import folder_of
from crack_lightning.system.files import content_hash, expanded, short_name, writing_beside
from crack_lightning.system.names import showable

log = logging.getLogger(__name__)

MAX_NAME_BYTES = 120  # of an upload's name, without its ending
FORBIDDEN_CHARACTERS = re.compile(r"[^\w.() +,=@~-]")


def load_photographs(project: Project) -> None:
    """Loads the photographs of the project's sources and of `options.source`, and all uploads, with their findings.

    Logs a warning where a source of the project is missing; the corrections of its photographs are kept. Raises
    FileNotFoundError where `options.source` is missing.
    """
    for source, prefix in project.settings.sources:
        try:
            _register(project, _photographs_in(project, source, prefix))
        except FileNotFoundError as error:
            log.warning("%s; its photographs are left out", error)
    option_source = project.options.source
    if option_source is not None and str(_resolved(option_source)) not in dict(project.settings.sources):
        add_source(project, option_source)
    if any(is_image_name(path.name) for path in (project.folder / UPLOADS).glob("*")):
        uploads = find_photographs(str(project.folder / UPLOADS)).photographs
        _register(project, [_uploaded(upload) for upload in uploads if not upload.path.is_symlink()])
    _find_renamed(project)


def _find_renamed(project: Project) -> None:
    """Gives photographs whose files were renamed the names that they have in the project; they are found by content."""
    with project.guard:
        for name in project.missing_photographs:
            kept = kept_inspected(folder_of(project.folder, Photograph(Path(name), name)), Photograph(Path(name), name))
            if kept is None or not kept.made_of.picture:
                continue
            for key, photograph in list(project.photographs.items()):
                if key in project.inspected or photograph.path.stat().st_size != kept.made_of.file_bytes:
                    continue
                if content_hash(photograph.path)[:16] == kept.made_of.picture.partition("-")[0]:
                    log.info("%s is now in the file %s", name, photograph.path)
                    del project.photographs[key]
                    _register(project, [Photograph(photograph.path, name)])
                    break


def add_source(project: Project, given: str) -> list[str]:
    """Adds the photographs of a folder, a file or a pattern on this computer to the project; returns their keys.

    Raises UserError or FileNotFoundError where there are no photographs, or too many, and for the project's own folder.
    """
    if not given.strip():
        raise FileNotFoundError("the path is empty: give a folder, a file or a pattern")
    with project.guard:
        source = _resolved(given.strip())
        if str(source) in dict(project.settings.sources):
            raise UserError(f"{source} is in this project already")
        if source.is_relative_to(project.folder.resolve()):
            raise UserError(
                f"{source} is in the project's own folder, which is for results: give the folder of the photographs"
            )
        prefix = _free_prefix(project, source) if project.settings.sources else ""
        if source.is_file() and not is_image_name(source.name):
            raise UserError(
                f"{source} does not have the name of a photograph: give a photograph, or a folder of photographs"
            )
        photographs = _photographs_in(project, str(source), prefix)
        known = {photograph.path.resolve() for photograph in project.photographs.values()}
        if all(photograph.path.resolve() in known for photograph in photographs):
            raise UserError(f"{source} is in this project already, by its folder or another path")
        if source.is_file() and (name := _left_out_name(project, source)) is not None:
            return take_back(project, name)
        _check_count(project, len(photographs))
        project.set(sources=(*project.settings.sources, (str(source), prefix)))
        return _register(project, photographs)


def _left_out_name(project: Project, path: Path) -> str | None:
    """Returns the name of a photograph that was taken out of the project, if `path` is its file."""
    for source, prefix in project.settings.sources:
        if path.is_relative_to(source) and (name := f"{prefix}{path.relative_to(source).as_posix()}") in (
            project.settings.left_out
        ):
            return name
    return None


def take_out(project: Project, name: str) -> list[str]:
    """Takes a photograph out of the project, and returns its key. Its file, findings and corrections stay."""
    with project.guard:
        key = project.key_of(name)
        project.set(left_out=(*project.settings.left_out, name))
        project.photographs.pop(key)
        project.inspected.pop(key, None)
    return [key]


def take_back(project: Project, name: str) -> list[str]:
    """Adds a photograph that was taken out again, and returns its key. Raises UserError where it is not there."""
    with project.guard:
        names = {showable(left): left for left in project.settings.left_out}
        if name not in names:
            raise UserError(f"{name[:80]!r} was not taken out of this project")
        left_out = tuple(left for left in project.settings.left_out if left != names[name])
        known = set(project.photographs)
        project.set(left_out=left_out)
        load_photographs(project)
        return [key for key in project.photographs if key not in known]


def _resolved(given: str) -> Path:
    """Returns the same path for every spelling of a file or folder that exists; a pattern is only made absolute."""
    return expanded(given).resolve() if expanded(given).exists() else expanded(given).absolute()


def _free_prefix(project: Project, source: Path) -> str:
    taken = {PurePosixPath(photograph.name).parts[0] for photograph in project.photographs.values()} | {UPLOADS}
    taken |= {PurePosixPath(prefix).parts[0] for _, prefix in project.settings.sources if prefix}
    name = short_name(FORBIDDEN_CHARACTERS.sub("_", source.name) or "folder")
    return next(f"{numbered}/" for numbered in _numbered(name) if numbered not in taken)


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
            _check_count(project, 1)  # other uploads may have been added meanwhile
            if (twin := _same_upload(project, self.path)) is not None:
                return key_of_name(_uploaded(Photograph(twin, twin.name)).name)
            free_name = _free_name(project, f"{self.name}{ending}")
            path = project.folder / UPLOADS / free_name
            self.path.replace(path)
            return _register(project, [_uploaded(Photograph(path, free_name))])[0]


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
    _check_count(project, 1)
    with writing_beside(project.folder / UPLOADS / safe_name) as partial, partial.open("wb") as file:
        yield Upload(project, safe_name, partial, file)


def check_size(project: Project, name: str, size: int) -> None:
    """Raises UserError for an upload of more than `max_upload_mb`; `size` is in bytes."""
    if size > project.options.max_upload_mb * 2**20:
        raise UserError(
            f"{_safe_name(name)} is larger than max_upload_mb={project.options.max_upload_mb:g}: add its folder"
        )


def _check_count(project: Project, more: int) -> None:
    if len(project.photographs) + more > project.options.max_photographs:
        raise UserError(
            f"{len(project.photographs)} photographs and {more} more are more than "
            f"max_photographs={project.options.max_photographs}: start with a larger limit, or another project"
        )


def _photographs_in(project: Project, source: str, prefix: str) -> list[Photograph]:
    """Returns the photographs in a source, with `prefix` before their names."""
    photographs = _without_outer_links(source, find_photographs(source).photographs)
    check_output_folder(project.folder, photographs)
    return [Photograph(photograph.path, short_name(f"{prefix}{photograph.name}")) for photograph in photographs]


def _uploaded(photograph: Photograph) -> Photograph:
    """Returns an upload with its folder before its name, which then differs from the names in all sources."""
    return Photograph(photograph.path, f"{UPLOADS}/{photograph.path.name}")


def _without_outer_links(source: str, photographs: Sequence[Photograph]) -> list[Photograph]:
    """Returns the photographs without links that lead out of the source, since nobody chose what they point to."""
    given = expanded(source).absolute()
    if given.is_file():
        return list(photographs)
    root = next(path for path in (given, *given.parents) if not set("*?[") & set(str(path)) or path.is_dir())
    kept = [photograph for photograph in photographs if photograph.path.resolve().is_relative_to(root.resolve())]
    if len(kept) < len(photographs):
        log.warning("left out %d links that lead out of %s", len(photographs) - len(kept), root)
    if not kept:
        raise FileNotFoundError(f"{source} contains only links that lead out of it: give the folder that they lead to")
    return kept


def _register(project: Project, photographs: Iterable[Photograph]) -> list[str]:
    keys = []
    with project.guard:
        for photograph in photographs:
            if photograph.name in project.settings.left_out:
                continue
            key = key_of_name(photograph.name)
            known = project.photographs.setdefault(key, photograph)
            if known.path != photograph.path:
                log.warning("%s is left out: another photograph has the same name", photograph.path)
                continue
            if (inspected := kept_inspected(folder_of(project.folder, photograph), photograph)) is not None:
                project.inspected[key] = inspected
            keys.append(key)
    return keys


def _safe_name(name: str) -> str:
    """Returns a safe file name for the `name` that a browser sends: no folders, no control characters, not hidden."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    safe = PurePosixPath(FORBIDDEN_CHARACTERS.sub("_", last).strip(" ."))
    stem = safe.stem.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")
    return f"{stem or 'photograph'}{safe.suffix[:10]}"


def _same_upload(project: Project, path: Path) -> Path | None:
    """Returns an earlier upload with the same bytes as `path`, so that none is added twice; None without one."""
    size = path.stat().st_size
    for other in sorted((project.folder / UPLOADS).iterdir()):
        is_known = key_of_name(_uploaded(Photograph(other, other.name)).name) in project.photographs
        if is_known and other.stat().st_size == size and filecmp.cmp(path, other, shallow=False):
            return other
    return None


def _free_name(project: Project, name: str) -> str:
    taken = {path.name for path in (project.folder / UPLOADS).iterdir()}
    stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
    return next(f"{numbered}{ending}" for numbered in _numbered(stem) if f"{numbered}{ending}" not in taken)


def _numbered(name: str) -> Iterable[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, 1_000_000))
