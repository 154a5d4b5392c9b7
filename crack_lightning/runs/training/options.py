"""The options of `train.py`: the one place that defines their defaults and ranges."""

from dataclasses import dataclass, field
from typing import Any

from crack_lightning.data.options import DataOptions
from crack_lightning.data.samples.layouts import LEAKAGE_KINDS, MASKED
from crack_lightning.errors import UserError
from crack_lightning.evaluation.metric_names import METRICS, parse_threshold
from crack_lightning.features.options import FeatureOptions
from crack_lightning.models.options import IMAGE_SIZES, ModelOptions
from crack_lightning.system.ranges import (
    absolute_path,
    check_among,
    check_choices,
    one_of,
)
from crack_lightning.training.options import OptimizerOptions, SchedulerOptions, TaskOptions, TrainerOptions

OBJECTIVES = [f"{split}/{name}" for split in ("val", "test") for name in (*METRICS, "loss")]
MONITORED = [name for name in OBJECTIVES if name.startswith("val/")] + ["train/loss", "train/accuracy"]
MAX_SEED = 2**32 - 1


@dataclass
class TrainOptions:
    """The options of `train.py`. `callbacks` and `logger` are only recorded: the caller makes the objects."""

    data: DataOptions
    model: ModelOptions = field(default_factory=ModelOptions)
    features: FeatureOptions = field(default_factory=FeatureOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    scheduler: SchedulerOptions = field(default_factory=SchedulerOptions)
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    task: TaskOptions = field(default_factory=TaskOptions)
    callbacks: dict[str, Any] = field(default_factory=dict)
    # which copies of test images in training are counted: exact, near_duplicates or overlap
    leakage: str = one_of("exact", LEAKAGE_KINDS)
    calibrate: bool = True  # divide logits by a temperature, so that predictions are right as often as they say
    threshold: Any = 0.5  # lowest probability that counts as a crack; or recall:0.99 or precision:0.95 on validation
    # 0.01: at most this share is wrong on validation outside the band that needs review, which is as narrow as possible
    review_band: float | None = None
    seed: int = 0  # seed of the split, augmentation, shuffling, dropout and the head's initial weights
    ckpt_path: str | None = None  # continue from this last.ckpt
    cache_dir: str | None = None  # null: $XDG_CACHE_HOME/crack_lightning, or ~/.cache/crack_lightning
    figures: bool = True  # write figures; false saves a few seconds per run, as in sweeps
    objective: str = one_of("val/loss", OBJECTIVES)  # the metric that a sweep compares
    logger: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.data.layout == MASKED and not self.model.is_map:
            raise UserError("data=masks shows where cracks are, which only a crack map learns: give model=crack_map")
        if self.data.image_size not in IMAGE_SIZES:
            smallest, largest = IMAGE_SIZES[0], IMAGE_SIZES[-1]
            raise UserError(f"data.image_size={self.data.image_size}: must be from {smallest} to {largest} pixels")
        if self.features.mode == "cached" and not self.model.freeze:
            raise UserError(
                "features=cached keeps what a frozen backbone computes, but model.freeze=false: "
                "its features change with every step. Give model.freeze=true or features=live"
            )
        parse_threshold(self.threshold)
        if self.review_band is not None and not 0 <= self.review_band < 1:
            raise UserError(f"review_band={self.review_band}: must be a share of errors from 0 to below 1, or null")
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"seed={self.seed}: must be from 0 to {MAX_SEED}")
        check_choices(self)
        for name, callback in self.callbacks.items():
            if (monitor := (callback or {}).get("monitor")) is not None:
                check_among(f"callbacks.{name}.monitor", monitor, MONITORED)
        self.cache_dir = absolute_path(self.cache_dir)
