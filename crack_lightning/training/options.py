"""The options of training: optimiser, learning rate schedule, Lightning's Trainer and class weights."""

import math
from dataclasses import dataclass, field
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_above, check_choices, one_of

# With these strategies, every process runs the whole program, and after training only the first one continues.
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
CLASS_WEIGHTS = (None, "balanced")
INTERVALS = ("epoch", "step")


@dataclass
class OptimizerOptions:
    """The optimiser, a class of `torch.optim`, and its learning rates.

    `backbone_lr` is the learning rate of an unfrozen backbone; None means a tenth of `lr`. Raises UserError for an
    option out of range.
    """

    name: str = "Adam"  # any class of torch.optim
    lr: float = 1e-3
    backbone_lr: float | None = None  # for model.freeze=false; null: a tenth of lr
    weight_decay: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, rate in (("lr", self.lr), ("backbone_lr", self.backbone_lr)):
            if rate is not None and not (0 < rate <= 10 and math.isfinite(rate)):
                raise UserError(f"optimizer.{key}={rate}: must be above 0 and at most 10")
        if not 0 <= self.weight_decay < 1:
            raise UserError(f"optimizer.weight_decay={self.weight_decay}: must be at least 0 and below 1")


@dataclass
class SchedulerOptions:
    """The schedule, a class of `torch.optim.lr_scheduler`, and its interval, "epoch" or "step"; None is no schedule.

    Raises UserError for an option out of range.
    """

    name: str | None = None  # any class of torch.optim.lr_scheduler
    interval: str = one_of("epoch", INTERVALS)  # epoch or step
    monitor: str | None = None  # the metric that ReduceLROnPlateau watches
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choices(self, group="scheduler.")
        if self.name is not None and (self.name == "ReduceLROnPlateau") != (self.monitor is not None):
            raise UserError(
                f"scheduler.monitor={self.monitor} with scheduler.name={self.name}: "
                "ReduceLROnPlateau needs a metric such as val/loss; other schedules accept none"
            )


@dataclass
class TrainerOptions:
    """The arguments of Lightning's `Trainer` that apply here. Raises UserError for an option out of range."""

    accelerator: str = "auto"
    devices: Any = 1  # more with trainer=ddp; the batch size is per device
    num_nodes: int = 1
    strategy: str = one_of("auto", STRATEGIES)
    precision: Any = "32-true"
    max_epochs: int = 5
    min_epochs: int | None = None
    max_time: str | None = None  # dd:hh:mm:ss
    limit_train_batches: Any = None
    limit_val_batches: Any = None
    limit_test_batches: Any = None
    fast_dev_run: Any = False
    num_sanity_val_steps: int = 0  # the data is checked before training; an error in validation shows after one epoch
    log_every_n_steps: int = 10
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = None
    deterministic: bool = False
    benchmark: bool | None = None
    detect_anomaly: bool = False
    profiler: str | None = None
    enable_progress_bar: bool | None = None  # null: if the output is a terminal
    enable_model_summary: bool = False  # figures/architecture.png shows more

    def __post_init__(self) -> None:
        if self.max_epochs < 1 and self.max_epochs != -1:
            raise UserError(
                f"trainer.max_epochs={self.max_epochs}: must be at least 1, or -1 to end by early stopping alone"
            )
        for key in ("limit_train_batches", "limit_val_batches", "limit_test_batches", "accumulate_grad_batches"):
            value = getattr(self, key)
            if isinstance(value, int | float):
                check_above(f"trainer.{key}", value)
        check_choices(self, group="trainer.")


@dataclass
class TaskOptions:
    """The weights of the classes in the loss."""

    # balanced: an error in the rarer class costs more, in proportion to its rarity
    class_weights: str | None = one_of(None, CLASS_WEIGHTS)

    def __post_init__(self) -> None:
        check_choices(self, group="task.")
