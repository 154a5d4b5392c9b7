"""The options of storing the features of a frozen backbone."""

from dataclasses import dataclass

from crack_lightning.engines.engine_names import ENGINES
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_choices, check_shard, one_of

MODES = ("auto", "cached", "live")
MAX_VIEWS = 1000
IDENTITIES = ("content", "stat")
DTYPES = ("float16", "float32")


@dataclass
class FeatureOptions:
    """The options of features: whether and how they are stored, and how many views each training image has.

    Raises UserError for an option out of range.
    """

    mode: str = one_of("auto", MODES)  # auto, cached or live
    views: int = 1  # stored views of each training image, which the epochs go through in turn
    # float16 halves the disk space; its rounding changes a loss in the fourth digit
    dtype: str = one_of("float32", DTYPES)
    # content: a hash of each file's bytes; stat: path, size and time, for millions of files
    identity: str = one_of("content", IDENTITIES)
    engine: str = one_of("auto", ENGINES)  # auto: onnxruntime on the CPU if installed, else folded; or openvino, eager
    lock_timeout_s: float = 3600.0  # how long to wait for another run that computes the same features
    max_cache_gb: float = 20.0  # limit of all stores together; those unused for longest are removed first
    shard: int | None = None  # with -m features.shard=range(0,8): computes this part alone, without training
    # number of parts; without shard: checks that all are complete, merges them and trains
    shards: int | None = None

    def __post_init__(self) -> None:
        check_choices(self, group="features.")
        if not 1 <= self.views <= MAX_VIEWS:
            raise UserError(f"features.views={self.views}: must be from 1 to {MAX_VIEWS}")
        check_shard(self.shard, self.shards, group="features.")
        if self.shards is not None and self.mode == "live":
            raise UserError("features.shards needs stored features: it cannot be combined with features=live")
        for key, value in (("lock_timeout_s", self.lock_timeout_s), ("max_cache_gb", self.max_cache_gb)):
            if not value >= 0:
                raise UserError(f"features.{key}={value}: must be 0 or more")
