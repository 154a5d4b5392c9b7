"""Adds photographs to a project: those in chosen folders, and those that were uploaded before."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from crack_lightning.data.images.formats import is_image_name
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph, check_output_folder, find_photographs
from crack_lightning.project.project import UPLOADS, Project, key_of_name
from crack_lightning.runs.inspection.inspected import Inspected, kept_inspected
from crack_lightning.runs.inspection.photograph_files import folder_of
from crack_lightning.system.files import content_hash, expanded, short_name
from crack_lightning.system.names import showable

log = logging.getLogger(__name__)

FORBIDDEN_CHARACTERS = re.compile(r"[^\w.() +,=@~-]")


def load_photographs(project: Project) -> None:
    """Loads the photographs of the project's sources and of `options.source`, and all uploads, with their findings.

    Logs a warning where a source of the project is missing; the corrections of its photographs are kept. Raises
    FileNotFoundError where `options.source` is missing.
    """
    for source, prefix in project.settings.sources:
        try:
            register(project, _photographs_in(project, source, prefix))
        except FileNotFoundError as error:
            log.warning("%s; its photographs are left out", error)
    option_source = project.options.source
    if option_source is not None and str(_resolved(option_source)) not in dict(project.settings.sources):
        add_source(project, option_source)
    if any(is_image_name(path.name) for path in (project.folder / UPLOADS).glob("*")):
        uploads = find_photographs(str(project.folder / UPLOADS)).photographs
        register(project, [uploaded(upload) for upload in uploads if not upload.path.is_symlink()])
    _find_renamed(project)


def _find_renamed(project: Project) -> None:
    """Gives photographs whose files were renamed the names that they have in the project; they are found by content.

    A name that nobody corrected anything under gives way to one that has corrections, or was taken out of the project.
    """
    with project.guard:
        for name in [*project.missing_photographs, *project.settings.left_out]:
            kept = kept_inspected(folder_of(project.folder, Photograph(Path(name), name)), Photograph(Path(name), name))
            if kept is None or not kept.made_of.picture or _is_in_place(project, name):
                continue
            for key, photograph in list(project.photographs.items()):
                if project.journal.of(photograph.name) or not _holds(photograph.path, kept):
                    continue
                log.info("%s is now in the file %s", name, photograph.path)
                del project.photographs[key]
                project.inspected.pop(key, None)
                register(project, [Photograph(photograph.path, name)])
                break


def _is_in_place(project: Project, name: str) -> bool:
    """Returns whether a photograph's file is where its name says: then another one with its content is a copy."""
    paths = [project.folder / name]
    for source, prefix in project.settings.sources:
        if name.startswith(prefix):
            paths.append(Path(source) if Path(source).is_file() else Path(source) / name.removeprefix(prefix))
    return any(path.is_file() for path in paths)


def _holds(path: Path, inspected: Inspected) -> bool:
    """Returns whether a file has the content that was inspected."""
    picture = inspected.made_of.picture.partition("-")[0]
    return path.stat().st_size == inspected.made_of.file_bytes and content_hash(path)[:16] == picture


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
        check_count(project, len(photographs))
        project.set(sources=(*project.settings.sources, (str(source), prefix)))
        return register(project, photographs)


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
    return next(f"{numbered}/" for numbered in numbered_names(name) if numbered not in taken)


def check_count(project: Project, more: int) -> None:
    """Raises UserError where the project would have too many photographs."""
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


def uploaded(photograph: Photograph) -> Photograph:
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


def register(project: Project, photographs: Iterable[Photograph]) -> list[str]:
    """Adds photographs with what was found in them before; returns their keys."""
    keys = []
    with project.guard:
        keys_by_path = {photograph.path: key for key, photograph in project.photographs.items()}
        for photograph in photographs:
            if photograph.name in project.settings.left_out:
                continue
            if (known_key := keys_by_path.get(photograph.path)) is not None and known_key != key_of_name(
                photograph.name
            ):
                continue  # the file was renamed, and has the photograph's former name in the project
            key = key_of_name(photograph.name)
            known = project.photographs.setdefault(key, photograph)
            if known.path != photograph.path:
                log.warning("%s is left out: another photograph has the same name", photograph.path)
                continue
            if (inspected := kept_inspected(folder_of(project.folder, photograph), photograph)) is not None:
                project.inspected[key] = inspected
            keys.append(key)
    return keys


def numbered_names(name: str) -> Iterable[str]:
    """Yields a name, then the same with -2, -3 and so on behind it."""
    yield name
    yield from (f"{name}-{number}" for number in range(2, 1_000_000))
