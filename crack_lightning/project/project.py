"""The project itself: its folder, its photographs, the opened network, the journal of corrections, and settings."""

import hashlib
import json
import shutil
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.journal import JOURNAL, Journal
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.models.crack_map import CrackMap, Network, is_map
from crack_lightning.project.kept_pictures import grey_levels
from crack_lightning.project.options import ServeOptions
from crack_lightning.runs.inspection.inspected import Inspected, same_picture
from crack_lightning.runs.inspection.inspection import Inspection, inspection_of
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.system.files import write_atomically
from crack_lightning.system.ranges import number_of

SETTINGS, LOCK = "project.json", ".project.lock"
UPLOADS, CHECKPOINTS, HANDED_OVER = "uploads", "checkpoints", "handed_over"
WRITING = ".writing-"  # prefix of a folder in HANDED_OVER that is not complete
AGAIN = "open it in the page, which inspects it again"
OVERLAY_PX = 1600  # longer side of the picture that is shown before anybody zooms


@dataclass(frozen=True)
class Settings:
    """The settings that a project keeps beside its corrections: the folders that were chosen, each with the prefix of
    the names of its photographs; the checkpoint that marks and the one that learning begins from, None for the map of
    the package; threshold and shortest length in pixels."""

    sources: tuple[tuple[str, str], ...] = ()
    ckpt_path: str | None = None
    base_path: str | None = None
    threshold: float = 0.5
    shortest_px: float = 0.0


@dataclass(eq=False)
class Project:
    """Photographs by their keys, what was found in each, and the journal. For one process; `guard` is held by a caller
    that changes `photographs`, `inspected`, `settings` or `inspection`."""

    folder: Path
    options: ServeOptions
    settings: Settings
    inspection: Inspection
    journal: Journal
    lock: FileLock
    photographs: dict[str, Photograph] = field(default_factory=dict)
    inspected: dict[str, Inspected] = field(default_factory=dict)
    guard: Any = field(default_factory=threading.RLock)

    @property
    def network(self) -> CrackMap:
        """Returns the crack map that marks."""
        return map_of(self.inspection.classifier, self.settings.ckpt_path)

    def photograph(self, key: str) -> Photograph:
        """Returns the photograph of a key. Raises UserError for an unknown key."""
        photograph = self.photographs.get(key)
        if photograph is None:
            raise UserError("there is no such photograph in this project: load the page again")
        return photograph

    def key_of(self, name: str) -> str:
        """Returns the key of a photograph by its name. Raises UserError where there is none."""
        if (key := key_of_name(name)) not in self.photographs:
            raise UserError(f"there is no photograph {name[:80]!r} in this project")
        return key

    def is_stale(self, key: str) -> bool:
        """Returns whether the file of a photograph changed after it was inspected."""
        inspected = self.inspected.get(key)
        path = self.photograph(key).path
        return inspected is not None and inspected.is_mapped and path.exists() and not inspected.file_unchanged(path)

    def grey_of(self, key: str) -> np.ndarray:
        """Returns the levels (h, w) uint8 of a photograph. Raises UserError where its file holds another picture than
        the one that was inspected: what was found does not lie in it."""
        photograph, inspected = self.photograph(key), self.inspected.get(key)
        grey = grey_levels(photograph.path, megapixels=self.options.max_megapixels)
        if inspected is not None and inspected.is_mapped and not inspected.is_same_picture(photograph.path, grey):
            raise UserError(f"{photograph.name} was replaced by another picture after it was inspected: {AGAIN}")
        return grey

    @property
    def active(self) -> list[Correction]:
        """Returns the corrections in force of the pictures that are there."""
        return [correction for correction in self.journal.active if self._is_of_picture(correction)]

    def corrections_of(self, name: str) -> list[Correction]:
        """Returns the corrections in force of a photograph."""
        return [correction for correction in self.journal.of(name) if self._is_of_picture(correction)]

    def of_another_picture(self, name: str) -> int:
        """Returns how many corrections in force were made on another picture of that name."""
        return len(self.journal.of(name)) - len(self.corrections_of(name))

    @property
    def missing_photographs(self) -> dict[str, int]:
        """Returns the photographs that are no longer in this project, with how many corrections wait for each."""
        names = Counter(correction.photograph for correction in self.journal.active if correction.photograph)
        return {name: count for name, count in names.items() if key_of_name(name) not in self.photographs}

    def picture_of(self, name: str) -> str:
        """Returns what identifies a photograph's picture, empty where it is not known."""
        inspected = self.inspected.get(key_of_name(name))
        return inspected.made_of.picture if inspected is not None else ""

    def _is_of_picture(self, correction: Correction) -> bool:
        return same_picture(correction.picture, self.picture_of(correction.photograph))

    def set(self, **changes: Any) -> None:
        """Changes settings, on disk first."""
        with self.guard:
            settings = replace(self.settings, **changes)
            write_atomically(self.folder / SETTINGS, (json.dumps(asdict(settings), indent=1) + "\n").encode())
            if settings.ckpt_path != self.settings.ckpt_path:
                self.inspection = opened(self.options, settings)
            elif settings.threshold != self.settings.threshold:
                self.inspection = self.inspection.at(threshold=settings.threshold)
            self.settings = settings

    def close(self) -> None:
        """Releases the folder for another process."""
        self.lock.release()


def open_project(options: ServeOptions, folder: Path) -> Project:
    """Returns the project in `folder`, which is made if it is not there.

    Raises UserError where another process has it open, or where its files are damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{folder} is open already, in another `serve`: close that, or give another out=FOLDER"
        ) from error
    try:
        for partial in (folder / HANDED_OVER).glob(f"{WRITING}*"):  # of a process that was killed
            shutil.rmtree(partial, ignore_errors=True)
        settings = _read_settings(folder, options)
        project = Project(folder, options, settings, opened(options, settings), Journal(folder / JOURNAL), lock)
        project.set()
    except BaseException:
        lock.release()
        raise
    return project


def opened(options: ServeOptions, settings: Settings) -> Inspection:
    """Returns the network of a project, ready to map. Raises UserError for a classifier: windows are not lines."""
    inspection = inspection_of(inspect_options(options, settings))
    map_of(inspection.classifier, settings.ckpt_path)
    return inspection


def key_of_name(name: str) -> str:
    """Returns what stands for a photograph in addresses, where its name never appears."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def map_of(network: Network, ckpt_path: str | None) -> CrackMap:
    """Returns the network, which is a crack map. Raises UserError for any other."""
    if not is_map(network):
        raise UserError(
            f"ckpt_path={ckpt_path} is a classifier, which marks windows and no lines that could be corrected: give a "
            "checkpoint of model=crack_map or of adapt, or none"
        )
    return network


def inspect_options(options: ServeOptions, settings: Settings) -> InspectOptions:
    """Returns the options with which `inspect` finds the same."""
    return InspectOptions(
        ckpt_path=settings.ckpt_path,
        source=options.source or UPLOADS,
        device=options.device,
        engine=options.engine,
        threshold=settings.threshold,
        mm_per_px=options.mm_per_px,
        width_classes=options.width_classes,
        max_megapixels=options.max_megapixels,
        overlay_px=OVERLAY_PX,
    )  # shorter cracks than the project's shortest are kept, and not shown


def _read_settings(folder: Path, options: ServeOptions) -> Settings:
    """Returns the kept settings; what the command line gives comes first."""
    path, kept = folder / SETTINGS, Settings()
    if path.exists():
        try:
            kept = _checked(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is damaged ({error}): remove it, the corrections are in {JOURNAL}") from error
    chosen = {
        "ckpt_path": options.ckpt_path,
        "base_path": None if _is_own(folder, options.ckpt_path) else options.ckpt_path,
        "threshold": options.threshold,
        "shortest_px": options.min_length_px,
    }
    return replace(kept, **{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]


def _is_own(folder: Path, ckpt_path: str | None) -> bool:
    """Returns whether a checkpoint was trained by this project: it marks, and learning does not begin from it again."""
    return ckpt_path is not None and Path(ckpt_path).resolve().is_relative_to((folder / CHECKPOINTS).resolve())


def _checked(facts: Mapping[str, Any]) -> Settings:
    loaded = Settings(**{**facts, "sources": tuple((source, prefix) for source, prefix in facts["sources"])})
    texts = [
        *sum(loaded.sources, ()),
        *(path for path in (loaded.ckpt_path, loaded.base_path) if path is not None),
    ]
    numbers = number_of(loaded.threshold), number_of(loaded.shortest_px)
    if not all(isinstance(text, str) for text in texts) or not 0 < numbers[0] < 1 or not numbers[1] >= 0:
        raise ValueError("its sources, checkpoints, threshold or length are not valid")
    return loaded
