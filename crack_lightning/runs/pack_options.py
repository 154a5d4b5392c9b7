"""The options of `pack`."""

from dataclasses import dataclass

from crack_lightning.data.options import DataOptions
from crack_lightning.data.samples.layouts import MASKED, PACKED
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_above, whole_path

MOST_SEED = 2**32 - 1


@dataclass
class PackOptions:
    """Of `pack`: a data set as `train.py` takes it, the seed of its split, and megabytes of an archive."""

    data: DataOptions
    seed: int
    shard_mb: float
    cache_dir: str | None

    def __post_init__(self) -> None:
        check_above("shard_mb", self.shard_mb)
        if not 0 <= self.seed <= MOST_SEED:
            raise UserError(f"seed={self.seed}: 0 to {MOST_SEED}")
        if self.data.layout in (MASKED, PACKED):
            raise UserError(f"data.layout={self.data.layout}: class folders and tables are packed, and nothing else")
        self.cache_dir = whole_path(self.cache_dir)
