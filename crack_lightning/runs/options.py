"""The options of each command: one dataclass for each, checked when it is made, typed to the last function."""

from dataclasses import dataclass
from typing import Any

from crack_lightning.data.copies import LOOKED_FOR
from crack_lightning.data.options import AuditDataOptions, DataOptions, JudgedDataOptions
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.engines.names import check_engine
from crack_lightning.errors import UserError
from crack_lightning.evaluation.names import METRICS, parse_threshold
from crack_lightning.features.options import FeatureOptions
from crack_lightning.models.options import LESSONS, ModelOptions
from crack_lightning.system.ranges import (
    check_above,
    check_among,
    check_batches,
    check_shard,
    check_workers,
    whole_path,
)
from crack_lightning.training.options import OptimizerOptions, SchedulerOptions, TaskOptions, TrainerOptions

OBJECTIVES = [f"{split}/{name}" for split in ("val", "test") for name in (*METRICS, "loss")]
MONITORED = [name for name in OBJECTIVES if name.startswith("val/")] + ["train/loss", "train/accuracy"]
MOST_SEED = 2**32 - 1
WINDOWS = ("auto", "map", "crops")
MOST_MM_PER_PX = 20.0
SCALES, MARKERS = ("marker_mm", "distance_m"), ("marker", "checkerboard")
FORMATS = ("dxf", "coco", "label_studio", "word")
LENGTHS = ("min_length_px", "min_length_mm")
SIDES_PX = range(64, 4097)


@dataclass
class TrainOptions:
    """Of `train.py`. `callbacks` and `logger` are for whoever makes these objects, and checked here."""

    data: DataOptions
    model: ModelOptions
    features: FeatureOptions
    optimizer: OptimizerOptions
    scheduler: SchedulerOptions
    trainer: TrainerOptions
    callbacks: dict[str, Any]
    task: TaskOptions
    leakage: str
    calibrate: bool
    threshold: Any
    review_band: float | None
    seed: int
    ckpt_path: str | None
    cache_dir: str | None
    figures: bool
    objective: str
    logger: dict[str, Any]

    def __post_init__(self) -> None:
        if self.data.layout == MASKED and not self.model.is_map:
            raise UserError("data=masks teaches where in a photograph a crack is: give model=crack_map")
        if self.features.mode == "cached" and not self.model.freeze:
            raise UserError(
                "features=cached keeps what a frozen backbone computes, but model.freeze=false: "
                "its features change with every step. Give model.freeze=true or features=live"
            )
        live = not self.model.freeze or self.features.mode == "live" or self.model.is_map
        if self.features.engine == "int8" and live:
            raise UserError(
                "features.engine=int8 needs a classifier whose features are kept: give model.freeze=true, and neither "
                "features=live nor model=crack_map"
            )
        parse_threshold(self.threshold)
        if self.review_band is not None and not 0 <= self.review_band < 1:
            raise UserError(f"review_band={self.review_band}: a share of errors, 0 or more and below 1, or null")
        check_among("leakage", self.leakage, LOOKED_FOR)
        if not 0 <= self.seed <= MOST_SEED:
            raise UserError(f"seed={self.seed}: 0 to {MOST_SEED}")
        check_among("objective", self.objective, OBJECTIVES)
        for name, callback in self.callbacks.items():
            if (monitor := (callback or {}).get("monitor")) is not None:
                check_among(f"callbacks.{name}.monitor", monitor, MONITORED)
        self.cache_dir = whole_path(self.cache_dir)


@dataclass
class EvaluateOptions:
    """Of `evaluate`: a checkpoint, several with commas or as a list, or a mapping of names to them."""

    ckpt_path: Any
    device: str
    engine: str
    data: JudgedDataOptions

    def __post_init__(self) -> None:
        check_engine(self.engine)


@dataclass
class GenerateOptions:
    """Of `generate`."""

    output_dir: str
    count: int
    seed: int
    size_px: int
    class_names: list[str]
    num_workers: int | None

    def __post_init__(self) -> None:
        check_workers(self.num_workers)
        self.output_dir = str(whole_path(self.output_dir))


@dataclass
class CacheOptions:
    """Of `cache`."""

    cache_dir: str | None
    clear: str | None

    def __post_init__(self) -> None:
        self.cache_dir = whole_path(self.cache_dir)


@dataclass
class PredictOptions:
    """Of `predict`. Without a checkpoint the crack map of the package predicts."""

    ckpt_path: str | None
    source: str
    device: str
    engine: str
    batch_size: int
    num_workers: int | None
    max_megapixels: float
    jsonl: bool

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_above("max_megapixels", self.max_megapixels)
        check_batches(self.batch_size, self.num_workers)


@dataclass
class InspectOptions:
    """Of `inspect`. Without a checkpoint the crack map of the package inspects."""

    ckpt_path: str | None
    source: str
    device: str
    engine: str
    threshold: float | None
    tile_px: float | None
    mm_per_px: float | None
    scale: str | None
    marker_mm: float | None
    distance_m: float | None
    width_classes: Any
    min_length_px: float | None
    min_length_mm: float | None
    formats: list[str]
    windows: str
    scales: list[float]
    memory_mb: float | None
    max_megapixels: float
    overlay_px: int | None
    shard: int | None = None
    shards: int | None = None

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_shard(self.shard, self.shards)
        check_among("windows", self.windows, WINDOWS)
        for key in ("mm_per_px", "tile_px", "memory_mb", "max_megapixels", "overlay_px", *LENGTHS, *SCALES):
            check_above(key, getattr(self, key))
        if self.mm_per_px is not None and self.mm_per_px > MOST_MM_PER_PX:
            raise UserError(f"mm_per_px={self.mm_per_px:g}: at most {MOST_MM_PER_PX:g}, 0.2 to 1 is usual")
        if (self.scale in MARKERS) != (self.marker_mm is not None):
            raise UserError(
                f"scale={self.scale} marker_mm={self.marker_mm}: marker_mm goes with scale=marker or "
                "scale=checkerboard, and either needs it"
            )
        for name in self.formats:
            check_among("formats", name, FORMATS)
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UserError(f"threshold={self.threshold}: above 0, at most 1, or null for the checkpoint's")
        if self.min_length_mm is not None and self.mm_per_px is self.scale is self.distance_m is None:
            raise UserError(f"min_length_mm={self.min_length_mm} needs mm_per_px or scale, or give min_length_px")
        if not self.scales or not all(0 < factor <= 16 for factor in self.scales):
            raise UserError(f"scales={self.scales}: numbers above 0 and at most 16, such as [1.0,2.0]")


@dataclass
class CompareOptions:
    """Of `compare`: the run folders of two inspections."""

    before: str
    after: str


@dataclass
class AdaptOptions:
    """Of `adapt`."""

    source: str
    lessons: int
    seed: int
    device: str
    max_megapixels: float

    def __post_init__(self) -> None:
        check_above("max_megapixels", self.max_megapixels)
        if self.lessons not in LESSONS:
            raise UserError(f"lessons={self.lessons}: it must be from {LESSONS[0]} to {LESSONS[-1]}")
        if not 0 <= self.seed <= MOST_SEED:
            raise UserError(f"seed={self.seed}: 0 to {MOST_SEED}")


@dataclass
class ExplainOptions:
    """Of `explain`. Without a checkpoint the crack map of the package is explained."""

    ckpt_path: str | None
    source: str
    device: str
    side_px: int
    max_megapixels: float

    def __post_init__(self) -> None:
        check_above("max_megapixels", self.max_megapixels)
        if self.side_px not in SIDES_PX:
            raise UserError(f"side_px={self.side_px}: {SIDES_PX[0]} to {SIDES_PX[-1]}")


@dataclass
class AuditOptions:
    """Of `audit`."""

    near_duplicates: bool
    overlaps: bool
    split_csv: str | None
    num_workers: int | None
    max_megapixels: float
    shown: int
    data: AuditDataOptions

    def __post_init__(self) -> None:
        check_workers(self.num_workers)
        if self.shown < 0:
            raise UserError(f"shown={self.shown}: 0 or more")
        check_above("max_megapixels", self.max_megapixels)
        self.split_csv = whole_path(self.split_csv)
