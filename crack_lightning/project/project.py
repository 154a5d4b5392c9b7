"""A project: its folder, photographs, opened network, journal of corrections and settings."""

import hashlib
import json
import shutil
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from crack_lightning.corrections.correction import Correction
from crack_lightning.corrections.journal import JOURNAL, Journal
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.models.crack_map import CrackMap, Network, is_map
from crack_lightning.project.judged_marks import NO_MARKS, JudgedMarks, read_marks
from crack_lightning.project.kept_pictures import grey_levels
from crack_lightning.project.options import ServeOptions
from crack_lightning.runs.inspection.inspected import Inspected, same_picture
from crack_lightning.runs.inspection.inspection import Inspection, inspection_of
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.system.files import write_atomically
from crack_lightning.system.ranges import number_of
from crack_lightning.system.results_owner import LOCK_FILE

SETTINGS_FILE = "project.json"
UPLOADS, HANDED_OVER = "uploads", "handed_over"  # folders in the project's folder
PARTIAL_PREFIX = ".writing-"  # of the name of a folder in HANDED_OVER that is not complete
REOPEN_HINT = "open it in the page, which inspects it again"
OVERLAY_PX = 1600  # longer side of the picture that the page shows before anybody zooms in


@dataclass(frozen=True)
class Settings:
    """The settings that a project keeps beside its corrections.

    `sources`: the chosen folders, each with the prefix before the names of its photographs. `ckpt_path`: the checkpoint
    that marks the cracks, None for the package's map.
    `threshold`: probability from which on a cell is marked. `shortest_px`: shorter cracks are not shown. `learned`: the
    files of judged marks that were taken over for all photographs, the last of which is used. `left_out`: the names of
    photographs that were taken out. `form`: what the hand-over's cover says.
    """

    sources: tuple[tuple[str, str], ...] = ()
    ckpt_path: str | None = None
    threshold: float = 0.5
    shortest_px: float = 0.0
    learned: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    form: tuple[tuple[str, str], ...] = ()


@dataclass(eq=False)
class Project:
    """A project that this process has open: photographs and what was found in them, by key, and the journal.

    A caller that changes `photographs`, `inspected`, `settings` or `inspection` holds `guard`.
    """

    folder: Path
    options: ServeOptions
    settings: Settings
    inspection: Inspection
    journal: Journal
    lock: FileLock
    photographs: dict[str, Photograph] = field(default_factory=dict)
    inspected: dict[str, Inspected] = field(default_factory=dict)
    learned: JudgedMarks = NO_MARKS
    guard: Any = field(default_factory=threading.RLock)

    def photograph(self, key: str) -> Photograph:
        """Returns the photograph with this key. Raises UserError for an unknown key."""
        photograph = self.photographs.get(key)
        if photograph is None:
            raise UserError("there is no such photograph in this project: load the page again")
        return photograph

    def key_of(self, name: str) -> str:
        """Returns the key of the photograph `name`. Raises UserError where there is none of that name."""
        if (key := key_of_name(name)) not in self.photographs:
            raise UserError(f"there is no photograph {name[:80]!r} in this project")
        return key

    def is_stale(self, key: str) -> bool:
        """Returns whether the file of a photograph changed after it was inspected."""
        inspected = self.inspected.get(key)
        path = self.photograph(key).path
        return inspected is not None and inspected.is_mapped and not inspected.file_unchanged(path) and path.exists()

    def grey_of(self, key: str) -> np.ndarray:
        """Returns the grey levels (h, w) uint8 of a photograph.

        Raises UserError where its file now holds another picture than the inspected one, which the findings do not fit.
        """
        photograph, inspected = self.photograph(key), self.inspected.get(key)
        grey = grey_levels(photograph.path, megapixels=self.options.max_megapixels)
        if inspected is not None and inspected.is_mapped and not inspected.is_same_picture(photograph.path, grey):
            raise UserError(f"{photograph.name} was replaced by another picture after it was inspected: {REOPEN_HINT}")
        return grey

    @property
    def active(self) -> list[Correction]:
        """Returns the corrections in force, except those that were made on a picture that was replaced since."""
        return [correction for correction in self.journal.active if self._is_of_picture(correction)]

    def corrections_of(self, name: str) -> list[Correction]:
        """Returns the corrections in force that were made on the current picture of the photograph `name`."""
        picture = self.picture_of(name)
        return [correction for correction in self.journal.of(name) if same_picture(correction.picture, picture)]

    @property
    def missing_photographs(self) -> dict[str, int]:
        """Returns the names of corrected photographs that are missing, each with its number of corrections."""
        names = Counter(correction.photograph for correction in self.journal.active if correction.photograph)
        known = {photograph.name for photograph in self.photographs.values()} | set(self.settings.left_out)
        return {name: count for name, count in names.items() if name not in known}

    def picture_of(self, name: str) -> str:
        """Returns the hashes that identify a photograph's picture, empty where they are not known."""
        inspected = self.inspected.get(key_of_name(name))
        return inspected.made_of.picture if inspected is not None else ""

    def _is_of_picture(self, correction: Correction) -> bool:
        return same_picture(correction.picture, self.picture_of(correction.photograph))

    def set(self, **changes: Any) -> None:
        """Changes settings, and writes them to disk before they take effect."""
        with self.guard:
            settings = replace(self.settings, **changes)
            write_atomically(self.folder / SETTINGS_FILE, (json.dumps(asdict(settings), indent=1) + "\n").encode())
            if settings.ckpt_path != self.settings.ckpt_path:
                self.inspection = open_inspection(self.options, settings)
            elif settings.threshold != self.settings.threshold:
                self.inspection = self.inspection.at(threshold=settings.threshold)
            self.settings = settings

    def close(self) -> None:
        """Releases the folder for another process."""
        self.lock.release()


def open_project(options: ServeOptions, folder: Path) -> Project:
    """Opens the project in `folder`, which is created if it does not exist.

    Raises UserError where another process has it open, or where its files are damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{folder} is open already, in another `serve`: end that one, or give another out=FOLDER"
        ) from error
    try:
        for partial in (folder / HANDED_OVER).glob(f"{PARTIAL_PREFIX}*"):  # left by a process that was killed
            shutil.rmtree(partial, ignore_errors=True)
        settings = _read_settings(folder, options)
        project = Project(
            folder, options, settings, open_inspection(options, settings), Journal(folder / JOURNAL), lock
        )
        project.learned = read_marks(folder, settings.learned)
        project.set()
    except BaseException:
        lock.release()
        raise
    return project


def open_inspection(options: ServeOptions, settings: Settings) -> Inspection:
    """Opens the network of a project. Raises UserError for a classifier, which marks windows and not lines."""
    inspection = inspection_of(inspect_options(options, settings))
    map_of(inspection.classifier, settings.ckpt_path)
    return inspection


@lru_cache(2**14)
def key_of_name(name: str) -> str:
    """Returns a hash of the photograph's name, which stands for it in the page's addresses."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def map_of(network: Network, ckpt_path: str | None) -> CrackMap:
    """Returns `network` if it is a crack map. Raises UserError for a classifier."""
    if not is_map(network):
        raise UserError(
            f"ckpt_path={ckpt_path} is a classifier, which marks windows, not lines that could be corrected: give a "
            "checkpoint of model=crack_map, or leave it out"
        )
    return network


def inspect_options(options: ServeOptions, settings: Settings) -> InspectOptions:
    """Returns the `inspect` options that give the same cracks as this project."""
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
    )  # min_length_px is left out: shorter cracks than `shortest_px` are kept, and only not shown


def _read_settings(folder: Path, options: ServeOptions) -> Settings:
    """Returns the project's settings; options given on the command line override those that were kept."""
    path, kept = folder / SETTINGS_FILE, Settings()
    if path.exists():
        try:
            kept = _checked(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is damaged ({error}): remove it, the corrections are in {JOURNAL}") from error
    chosen = {
        "ckpt_path": options.ckpt_path,
        "threshold": options.threshold,
        "shortest_px": options.min_length_px,
    }
    return replace(kept, **{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]


def _checked(facts: Mapping[str, Any]) -> Settings:
    known = {name: value for name, value in facts.items() if name != "base_path"}  # of an earlier version
    given = {"form": (), "learned": (), "left_out": (), **known}  # an earlier version kept sources alone
    pairs = {name: tuple((key, value) for key, value in given[name]) for name in ("sources", "form")}
    lists = {name: tuple(given[name]) for name in ("learned", "left_out")}
    loaded = Settings(**{**given, **pairs, **lists})
    texts = [*sum(loaded.sources + loaded.form, ()), *loaded.learned, *loaded.left_out]
    texts += [] if loaded.ckpt_path is None else [loaded.ckpt_path]
    numbers = number_of(loaded.threshold), number_of(loaded.shortest_px)
    if not all(isinstance(text, str) for text in texts) or not 0 < numbers[0] < 1 or not numbers[1] >= 0:
        raise ValueError("its sources, checkpoints, threshold or length are not valid")
    return loaded
