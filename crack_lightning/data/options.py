"""The options of a data set: where it lies, how it is read, split and augmented, and the ranges of their values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crack_lightning.data.samples.layouts import CLASS_FOLDERS, LAYOUT_NAMES, MASKED
from crack_lightning.data.samples.presplit import SPLITS
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import absolute_path, check_above, check_batches, check_choices, one_of

ON_ERROR = ("raise", "skip")


@dataclass
class SurfacesOptions:
    """Synthetic surfaces, drawn once into the cache."""

    count: int = 1200
    seed: int = 0
    size_px: int = 227  # the side of a METU patch


@dataclass
class LoadingOptions:
    """Options of reading pictures."""

    batch_size: int = 64  # pictures a batch; in `evaluate` on a GPU alone: a CPU core takes at most four
    # processes that read pictures, in `evaluate` threads; null: one for each core, in training at most 8
    num_workers: int | None = None
    # for files that cannot be read: raise, or skip and list in unreadable.csv
    on_error: str = one_of("raise", ON_ERROR)
    # for layout=masks with more than two values, the one that is crack: a value (1), a colour ('#ff0000') or its name
    crack_label: Any = None
    max_megapixels: float = 200.0  # larger files are not decoded

    def __post_init__(self) -> None:
        check_batches(self.batch_size, self.num_workers, group="data.")
        check_choices(self, group="data.")
        check_above("data.max_megapixels", self.max_megapixels)


@dataclass(kw_only=True)
class DataOptions(LoadingOptions):
    """Options of class folders, a table, or surfaces to draw, and of how they are split and augmented.

    Raises UserError for an option out of range; nothing is read.
    """

    root: str | None  # holds class folders, or train/ val/ test/ with class folders in each; null: surfaces are drawn
    # folders: named after the classes; table, masks: see data=table, data=masks; metu, sdnet2018: as these unpack
    layout: str = one_of(CLASS_FOLDERS, LAYOUT_NAMES)
    labels: str | None = None  # table of columns path, label[, group][, split]; null: labels.csv in the root
    class_names: list[str] = field(default_factory=lambda: ["Negative", "Positive"])
    positive_class: str = "Positive"
    image_size: int = 180  # side in pixels, as in the ported Keras script
    fractions: list[float] = field(default_factory=lambda: [0.7, 0.15, 0.15])  # shares of train, val, test
    # what a split keeps together: file, folder, photograph, near_duplicates, overlap, GROUPS.csv, a regular expression
    group_by: str = "file"
    # 5: of that many parts number `fold` tests, the next validates, the others train, and fractions are not used
    folds: int | None = None
    fold: int = 0
    # scale of the photographs, if known: whole photographs of another scale are then resized to it
    mm_per_px: float | None = None
    flip_probability: float = 0.5
    rotation_degrees: float = 72.0  # 0.2 of a turn either way, as in the ported Keras script
    surfaces: SurfacesOptions | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_class_names(self.class_names, self.positive_class)
        _check_fractions(self.fractions)
        _check_folds(self.folds, self.fold)
        check_above("data.mm_per_px", self.mm_per_px)
        if not 0 <= self.flip_probability <= 1:
            raise UserError(f"data.flip_probability={self.flip_probability}: 0 to 1")
        if not 0 <= self.rotation_degrees <= 180:
            raise UserError(f"data.rotation_degrees={self.rotation_degrees}: 0 to 180")
        if self.root is not None and self.surfaces is not None:
            raise UserError(f"data.root={self.root} is given, but data=synthetic draws its own: add data=folder")
        if self.root is None and self.surfaces is None:
            raise UserError("data.root is not set: name the folder that holds the class folders")
        self.root, self.labels = absolute_path(self.root), absolute_path(self.labels)
        self.group_by = str(absolute_path(self.group_by)) if self.group_by.endswith(".csv") else self.group_by


@dataclass
class JudgedDataOptions(LoadingOptions):
    """The photographs that a checkpoint is judged on."""

    root: str | None = None  # holds class folders, or train/ val/ test/ with class folders, of which test/ is used
    roots: Any = None  # several roots by name, for a matrix: {metu:/photos/metu,decks:/photos/sdnet/Decks}
    # folders, table, masks, metu, sdnet2018 (or data=masks); null: the checkpoint's classes, or the known set that fits
    layout: str | None = one_of(None, (None, *LAYOUT_NAMES))
    labels: str | None = None  # for layout=table: columns path, label[, group][, split]; null: labels.csv in the root
    # names of the class folders, in the order of the checkpoint's classes; null: the same names
    class_names: list[str] | None = None
    # groups that intervals are drawn by, as in training; null: photograph where names give it, else file
    group_by: str | None = None
    # train, val or test: use only this one, of the three folders or of split_csv
    split: str | None = one_of(None, (None, *SPLITS))
    split_csv: str | None = None  # the split.csv of a training run
    # for layout=masks: how far from a crack a marked cell of 4 pixels may lie, rounded to whole cells
    tolerance_px: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.root is None) != bool(self.roots):
            raise UserError("give data.root=FOLDER, or data.roots={name:FOLDER,other:FOLDER} for a matrix")
        if not isinstance(self.roots, dict | type(None)):
            raise UserError(f"data.roots={self.roots}: folders by name, data.roots={{name:FOLDER,other:FOLDER}}")
        for name in self.roots or {}:
            if "/" in str(name) or name in (".", ".."):
                raise UserError(f"data.roots: {name!r} is to be a folder's name: leave out what a path is made of")
        if self.tolerance_px < 0:
            raise UserError(f"data.tolerance_px={self.tolerance_px:g}: 0 or more")
        if self.layout == MASKED and (self.roots or self.labels or self.class_names):
            raise UserError("data.roots, data.labels and data.class_names are not for data=masks: give data.root alone")
        if self.roots and (self.split is not None or self.split_csv is not None):
            raise UserError("data.split and data.split_csv are for one checkpoint and data.root, not for data.roots")
        self.root, self.labels, self.split_csv = map(absolute_path, (self.root, self.labels, self.split_csv))
        self.roots = {str(name): absolute_path(str(root)) for name, root in (self.roots or {}).items()}


@dataclass
class AuditDataOptions:
    """The photographs to be audited."""

    root: str  # holds class folders, or train/ val/ test/ with class folders
    # folders, table, metu or sdnet2018; null: a known data set where the folders are named so, else folders
    layout: str | None = one_of(None, (None, *LAYOUT_NAMES))
    labels: str | None = None  # for layout=table: columns path, label[, group][, split]; null: labels.csv in the root
    class_names: list[str] | None = None  # compared with the folders; null: the folders' own names

    def __post_init__(self) -> None:
        self.root, self.labels = str(absolute_path(self.root)), absolute_path(self.labels)


def check_class_names(class_names: Sequence[str], positive_class: str) -> None:
    """Raises UserError unless there are two different classes, one of which is the positive one."""
    if len(class_names) != 2 or len(set(class_names)) != 2:
        raise UserError(f"data.class_names={list(class_names)}: two different classes are needed, sound and cracked")
    if positive_class not in class_names:
        raise UserError(f"data.positive_class={positive_class} is not one of data.class_names={list(class_names)}")


def _check_fractions(fractions: Sequence[float]) -> None:
    valid = len(fractions) == len(SPLITS) and all(0 < fraction < 1 for fraction in fractions)
    if not valid or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(
            f"data.fractions={list(fractions)}: three numbers above 0 that sum to 1 are needed, "
            f"for {', '.join(SPLITS)}, such as [0.7,0.15,0.15]"
        )


def _check_folds(folds: int | None, fold: int) -> None:
    if folds is not None and folds < len(SPLITS):
        raise UserError(f"data.folds={folds}: at least {len(SPLITS)}, one to test, one to validate, the rest to train")
    if fold < 0 or fold >= (folds or 1):
        allowed = f"0 to {folds - 1}" if folds else "0 without data.folds"
        raise UserError(f"data.fold={fold}: {allowed}")
