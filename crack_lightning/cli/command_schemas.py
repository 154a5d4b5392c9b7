"""The types of what commands other than training are told."""

from dataclasses import dataclass
from typing import Any


@dataclass
class EvaluateDataConfig:
    """The photographs to be judged on."""

    root: str | None
    roots: Any
    layout: str | None
    labels: str | None
    class_names: list[str] | None
    group_by: str | None
    batch_size: int
    num_workers: int | None
    on_error: str
    max_megapixels: float
    split: str | None
    split_csv: str | None


@dataclass
class EvaluateConfig:
    """The whole of evaluate.yaml."""

    ckpt_path: Any
    device: str
    engine: str
    data: EvaluateDataConfig


@dataclass
class GenerateConfig:
    """The whole of generate.yaml."""

    output_dir: str
    count: int
    seed: int
    size_px: int
    class_names: list[str]
    num_workers: int | None


@dataclass
class CacheConfig:
    """The whole of cache.yaml."""

    cache_dir: str | None
    clear: str | None


@dataclass
class PredictConfig:
    """The whole of predict.yaml."""

    ckpt_path: str
    source: str
    device: str
    engine: str
    batch_size: int
    num_workers: int | None
    max_megapixels: float
    jsonl: bool


@dataclass
class InspectConfig:
    """The whole of inspect.yaml."""

    ckpt_path: str
    source: str
    device: str
    engine: str
    threshold: float | None
    tile_px: float | None
    mm_per_px: float | None
    windows: str
    scales: list[float]
    memory_mb: float | None
    max_megapixels: float
    overlay_px: int | None


@dataclass
class ExplainConfig:
    """The whole of explain.yaml."""

    ckpt_path: str
    source: str
    device: str
    side_px: int
    max_megapixels: float


@dataclass
class AuditDataConfig:
    """The photographs to be audited."""

    root: str
    layout: str | None
    labels: str | None
    class_names: list[str] | None


@dataclass
class AuditConfig:
    """The whole of audit.yaml."""

    near_duplicates: bool
    overlaps: bool
    split_csv: str | None
    num_workers: int | None
    shown: int
    data: AuditDataConfig
