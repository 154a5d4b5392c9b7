"""The types of the configuration: what a key may hold. Its values stand in conf/.

Registered under `<name>_schema`; a typo or a value of another type is refused with the key named.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from crack_lightning.cli.command_schemas import (
    AuditConfig,
    CacheConfig,
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    InspectConfig,
    PredictConfig,
)


@dataclass
class SurfacesConfig:
    """Synthetic surfaces, drawn once into the cache."""

    count: int
    seed: int
    size_px: int


@dataclass
class DataConfig:
    """The arguments of `CrackDataModule`."""

    root: str | None
    layout: str
    labels: str | None
    class_names: list[str]
    positive_class: str
    image_size: int
    batch_size: int
    num_workers: int | None
    fractions: list[float]
    group_by: str
    folds: int | None
    fold: int
    on_error: str
    max_megapixels: float
    mm_per_px: float | None
    flip_probability: float
    rotation_degrees: float
    surfaces: SurfacesConfig | None


@dataclass
class ModelConfig:
    """The arguments of `build_classifier` that do not come from the data."""

    backbone: str
    weights: str | None
    freeze: bool
    dropout: float


@dataclass
class FeaturesConfig:
    """How the features of a frozen backbone are kept."""

    mode: str
    views: int
    dtype: str
    identity: str
    engine: str
    lock_timeout_s: float
    max_cache_gb: float


@dataclass
class OptimizerConfig:
    """An `OptimizerSpec`."""

    name: str
    lr: float
    backbone_lr: float | None
    weight_decay: float
    options: dict[str, Any]


@dataclass
class SchedulerConfig:
    """A `SchedulerSpec`; no name, no schedule."""

    name: str | None
    interval: str
    monitor: str | None
    options: dict[str, Any]


@dataclass
class TrainerConfig:
    """The arguments of Lightning's `Trainer` that make sense here."""

    _target_: str
    accelerator: str
    devices: Any
    num_nodes: int
    strategy: str
    precision: Any
    max_epochs: int
    min_epochs: int | None
    max_time: str | None
    limit_train_batches: Any
    limit_val_batches: Any
    limit_test_batches: Any
    fast_dev_run: Any
    num_sanity_val_steps: int
    log_every_n_steps: int
    accumulate_grad_batches: int
    gradient_clip_val: float | None
    deterministic: bool
    benchmark: bool | None
    detect_anomaly: bool
    profiler: str | None
    enable_progress_bar: bool | None
    enable_model_summary: bool


@dataclass
class EarlyStoppingConfig:
    """Lightning's `EarlyStopping`."""

    _target_: str
    monitor: str
    mode: str
    patience: int
    min_delta: float


@dataclass
class CheckpointConfig:
    """A `ModelCheckpoint`."""

    _target_: str
    dirpath: str
    filename: str
    monitor: str | None
    mode: str
    enable_version_counter: bool


@dataclass
class TaskConfig:
    """How classes are weighed."""

    class_weights: str | None


@dataclass
class TrainConfig:
    """The whole of train.yaml."""

    data: DataConfig
    model: ModelConfig
    features: FeaturesConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    trainer: TrainerConfig
    callbacks: dict[str, Any]
    task: TaskConfig
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


COMMANDS: dict[str, type] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "generate": GenerateConfig,
    "cache": CacheConfig,
    "audit": AuditConfig,
    "predict": PredictConfig,
    "inspect": InspectConfig,
    "explain": ExplainConfig,
}


def register() -> None:
    """Make the types known to Hydra."""
    store = ConfigStore.instance()
    parts = {"early_stopping": EarlyStoppingConfig, "checkpoint": CheckpointConfig}
    for name, schema in (COMMANDS | parts).items():
        store.store(name=f"{name}_schema", node=schema)
