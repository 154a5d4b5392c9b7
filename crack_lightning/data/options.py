"""What is known of a data set before it is looked at: the options, their ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crack_lightning.data.samples.layouts import MASKED, check_layout
from crack_lightning.data.samples.presplit import SPLITS
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_above, check_among, check_batches, whole_path

ON_ERROR = ("raise", "skip")


@dataclass
class SurfacesOptions:
    """Synthetic surfaces, drawn once into the cache."""

    count: int
    seed: int
    size_px: int


@dataclass
class LoadingOptions:
    """How pictures are read; None workers are one a core."""

    batch_size: int
    num_workers: int | None
    on_error: str
    max_megapixels: float

    def __post_init__(self) -> None:
        check_batches(self.batch_size, self.num_workers, group="data.")
        check_among("data.on_error", self.on_error, ON_ERROR)
        check_above("data.max_megapixels", self.max_megapixels)


@dataclass
class DataOptions(LoadingOptions):
    """Class folders, or a table, or surfaces that are drawn; how they are split and augmented.

    Raises UserError for an option out of range; nothing is read.
    """

    root: str | None
    layout: str
    labels: str | None
    class_names: list[str]
    positive_class: str
    image_size: int
    fractions: list[float]
    group_by: str
    folds: int | None
    fold: int
    mm_per_px: float | None
    flip_probability: float
    rotation_degrees: float
    surfaces: SurfacesOptions | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_class_names(self.class_names, self.positive_class)
        _check_fractions(self.fractions)
        _check_folds(self.folds, self.fold)
        check_layout(self.layout)
        check_above("data.mm_per_px", self.mm_per_px)
        if not 0 <= self.flip_probability <= 1:
            raise UserError(f"data.flip_probability={self.flip_probability}: 0 to 1")
        if not 0 <= self.rotation_degrees <= 180:
            raise UserError(f"data.rotation_degrees={self.rotation_degrees}: 0 to 180")
        if self.root is not None and self.surfaces is not None:
            raise UserError(f"data.root={self.root} is given, but data=synthetic draws its own: add data=folder")
        if self.root is None and self.surfaces is None:
            raise UserError("data.root is not set: name the folder that holds the class folders")
        self.root, self.labels = whole_path(self.root), whole_path(self.labels)
        self.group_by = str(whole_path(self.group_by)) if self.group_by.endswith(".csv") else self.group_by


@dataclass
class JudgedDataOptions(LoadingOptions):
    """The photographs that a checkpoint is judged on."""

    root: str | None
    roots: Any
    layout: str | None
    labels: str | None
    class_names: list[str] | None
    group_by: str | None
    split: str | None
    split_csv: str | None
    tolerance_px: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.root is None) != bool(self.roots):
            raise UserError("give data.root=FOLDER, or data.roots={name:FOLDER,other:FOLDER} for a matrix")
        if not isinstance(self.roots, dict | type(None)):
            raise UserError(f"data.roots={self.roots}: folders by name, data.roots={{name:FOLDER,other:FOLDER}}")
        for name in self.roots or {}:
            if "/" in str(name) or name in (".", ".."):
                raise UserError(f"data.roots: {name!r} is to be a folder's name: leave out what a path is made of")
        if self.layout is not None:
            check_layout(self.layout)
        if self.tolerance_px < 0:
            raise UserError(f"data.tolerance_px={self.tolerance_px:g}: 0 or more")
        if self.layout == MASKED and (self.roots or self.labels or self.class_names):
            raise UserError("data.roots, data.labels and data.class_names are not for data=masks: give data.root alone")
        if self.split is not None:
            check_among("data.split", self.split, SPLITS)
        if self.roots and (self.split is not None or self.split_csv is not None):
            raise UserError("data.split and data.split_csv are for one checkpoint and data.root, not for data.roots")
        self.root, self.labels, self.split_csv = map(whole_path, (self.root, self.labels, self.split_csv))
        self.roots = {str(name): whole_path(str(root)) for name, root in (self.roots or {}).items()}


@dataclass
class AuditDataOptions:
    """The photographs to be audited."""

    root: str
    layout: str | None
    labels: str | None
    class_names: list[str] | None

    def __post_init__(self) -> None:
        if self.layout is not None:
            check_layout(self.layout)
        self.root, self.labels = str(whole_path(self.root)), whole_path(self.labels)


def check_class_names(class_names: Sequence[str], positive_class: str) -> None:
    """Raise UserError unless there are two different classes, one of which is the positive one."""
    if len(class_names) != 2 or len(set(class_names)) != 2:
        raise UserError(f"data.class_names={list(class_names)}: two different classes are needed, sound and cracked")
    if positive_class not in class_names:
        raise UserError(f"data.positive_class={positive_class} is not one of data.class_names={list(class_names)}")


def _check_fractions(fractions: Sequence[float]) -> None:
    right = len(fractions) == len(SPLITS) and all(0 < fraction < 1 for fraction in fractions)
    if not right or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(
            f"data.fractions={list(fractions)}: three numbers above 0 that sum to 1 are needed, "
            f"for {', '.join(SPLITS)}, such as [0.7,0.15,0.15]"
        )


def _check_folds(folds: int | None, fold: int) -> None:
    if folds is not None and folds < len(SPLITS):
        raise UserError(f"data.folds={folds}: at least {len(SPLITS)}, one to test, one to validate, the rest to train")
    if fold < 0 or fold >= (folds or 1):
        most = f"0 to {folds - 1}" if folds else "0 without data.folds"
        raise UserError(f"data.fold={fold}: {most}")
