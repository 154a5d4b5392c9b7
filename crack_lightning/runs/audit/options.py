"""The options of `audit`: the one place that defines their defaults and ranges."""

from dataclasses import dataclass

from crack_lightning.data.options import AuditDataOptions
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import (
    absolute_path,
    check_above,
    check_workers,
)


@dataclass
class AuditOptions:
    """The options of `audit`."""

    data: AuditDataOptions
    # also find copies that were re-encoded, resized, made lighter or darker, mirrored or rotated by quarter turns
    near_duplicates: bool = True
    overlaps: bool = False  # also find crops that share a part of one photograph; takes several times as long
    split_csv: str | None = None  # a training run's split.csv: counts its test images with a copy in training
    num_workers: int | None = None  # null: one per core, at most 8
    max_megapixels: float = 200.0  # larger files are not decoded
    shown: int = 12  # cases of each kind that audit.html shows with pictures

    def __post_init__(self) -> None:
        check_workers(self.num_workers)
        if self.shown < 0:
            raise UserError(f"shown={self.shown}: must be 0 or more")
        check_above("max_megapixels", self.max_megapixels)
        self.split_csv = absolute_path(self.split_csv)
