"""The options of a data set, with their ranges: where it is, and how it is read, split and augmented."""

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
    """Options of synthetic surfaces: pictures of concrete, drawn once into the cache."""

    count: int = 1200
    seed: int = 0
    size_px: int = 227  # side of each picture, as in the METU data set


@dataclass
class LoadingOptions:
    """Options of reading pictures."""

    batch_size: int = 64  # pictures per batch; in `evaluate` this is for a GPU: each CPU core takes at most four
    # number of processes that read pictures (threads in `evaluate`); null: one per core, at most 8 in training
    num_workers: int | None = None
    # what to do about files that cannot be read: raise, or skip and list them in unreadable.csv
    on_error: str = one_of("raise", ON_ERROR)
    # value that means crack in masks with more than two values (layout=masks): a number (1), '#ff0000' or a name
    crack_label: Any = None
    max_megapixels: float = 200.0  # larger files are not decoded

    def __post_init__(self) -> None:
        check_batches(self.batch_size, self.num_workers, group="data.")
        check_choices(self, group="data.")
        check_above("data.max_megapixels", self.max_megapixels)


@dataclass(kw_only=True)
class DataOptions(LoadingOptions):
    """Options of a data set (class folders, a table, or surfaces to draw), its split and its augmentation.

    Raises UserError for an option out of range. No file is read.
    """

    root: str | None  # folder with class folders, or with train/ val/ test/ that hold them; null: draw surfaces
    # folders: named after the classes; table, masks: see data=table, data=masks; metu, sdnet2018: as downloaded
    layout: str = one_of(CLASS_FOLDERS, LAYOUT_NAMES)
    labels: str | None = None  # table with columns path, label[, group][, split]; null: labels.csv in the root
    class_names: list[str] = field(default_factory=lambda: ["Negative", "Positive"])
    positive_class: str = "Positive"
    image_size: int = 180  # side of the network's input in pixels, as in the original Keras script
    fractions: list[float] = field(default_factory=lambda: [0.7, 0.15, 0.15])  # shares of train, val and test
    # what a split keeps together: file, folder, photograph, near_duplicates, overlap, a .csv or a regular expression
    group_by: str = "file"
    # number of parts, instead of fractions: part `fold` is for testing, the next for validation, the rest for training
    folds: int | None = None
    fold: int = 0
    # scale of the training photographs, if known: whole photographs of another scale are later resized to it
    mm_per_px: float | None = None
    flip_probability: float = 0.5
    rotation_degrees: float = 72.0  # largest turn either way: 0.2 of a full turn, as in the original script
    surfaces: SurfacesOptions | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_class_names(self.class_names, self.positive_class)
        _check_fractions(self.fractions)
        _check_folds(self.folds, self.fold)
        check_above("data.mm_per_px", self.mm_per_px)
        if not 0 <= self.flip_probability <= 1:
            raise UserError(f"data.flip_probability={self.flip_probability}: must be from 0 to 1")
        if not 0 <= self.rotation_degrees <= 180:
            raise UserError(f"data.rotation_degrees={self.rotation_degrees}: must be from 0 to 180")
        if self.root is not None and self.surfaces is not None:
            raise UserError(f"data.root={self.root} is given, but data=synthetic draws its pictures: add data=folder")
        if self.root is None and self.surfaces is None:
            raise UserError("data.root is not set: name the folder that holds the class folders")
        self.root, self.labels = absolute_path(self.root), absolute_path(self.labels)
        self.group_by = str(absolute_path(self.group_by)) if self.group_by.endswith(".csv") else self.group_by


@dataclass
class JudgedDataOptions(LoadingOptions):
    """Options of the photographs that a checkpoint is evaluated on."""

    root: str | None = None  # folder with class folders, or with train/ val/ test/, of which test/ is used
    roots: Any = None  # several roots by name, for a matrix: {metu:/photos/metu,decks:/photos/sdnet/Decks}
    # folders, table, masks, metu or sdnet2018; null: folders named after the classes, else the data set that fits
    layout: str | None = one_of(None, (None, *LAYOUT_NAMES))
    labels: str | None = None  # for layout=table: columns path, label[, group][, split]; null: labels.csv in the root
    # names of the class folders, in the order of the checkpoint's classes; null: the names of those classes
    class_names: list[str] | None = None
    # groups for confidence intervals, as in training; null: photograph if the file names contain it, else file
    group_by: str | None = None
    # train, val or test: use only this split, from the three folders or from split_csv
    split: str | None = one_of(None, (None, *SPLITS))
    split_csv: str | None = None  # split.csv of a training run
    # for layout=masks: how far from a crack a marked cell still counts as correct, rounded to cells of 4 pixels
    tolerance_px: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.root is None) != bool(self.roots):
            raise UserError("give data.root=FOLDER, or data.roots={name:FOLDER,other:FOLDER} for a matrix")
        if not isinstance(self.roots, dict | type(None)):
            raise UserError(f"data.roots={self.roots}: must name folders, data.roots={{name:FOLDER,other:FOLDER}}")
        for name in self.roots or {}:
            if "/" in str(name) or name in (".", ".."):
                raise UserError(f"data.roots: {name!r} becomes a folder's name: it must not contain / or be . or ..")
        if self.tolerance_px < 0:
            raise UserError(f"data.tolerance_px={self.tolerance_px:g}: must be 0 or more")
        if self.layout == MASKED and (self.roots or self.labels or self.class_names):
            raise UserError("data.roots, data.labels and data.class_names do not apply to data=masks: use data.root")
        if self.roots and (self.split is not None or self.split_csv is not None):
            raise UserError("data.split and data.split_csv apply to data.root only, not to data.roots")
        self.root, self.labels, self.split_csv = map(absolute_path, (self.root, self.labels, self.split_csv))
        self.roots = {str(name): absolute_path(str(root)) for name, root in (self.roots or {}).items()}


@dataclass
class AuditDataOptions:
    """Options of the photographs to be audited."""

    root: str  # folder that holds class folders, or train/ val/ test/ with class folders in each
    # folders, table, metu or sdnet2018; null: the data set that the names of the folders fit, else folders
    layout: str | None = one_of(None, (None, *LAYOUT_NAMES))
    labels: str | None = None  # for layout=table: columns path, label[, group][, split]; null: labels.csv in the root
    class_names: list[str] | None = None  # expected names of the class folders; null: accept any

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
        raise UserError(f"data.folds={folds}: must be {len(SPLITS)} or more, to test, to validate and to train")
    if fold < 0 or fold >= (folds or 1):
        allowed = f"from 0 to {folds - 1}" if folds else "0 without data.folds"
        raise UserError(f"data.fold={fold}: must be {allowed}")
