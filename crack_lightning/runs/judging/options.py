"""The options of `evaluate`, `predict` and `explain`: the one place that defines their defaults and ranges."""

from dataclasses import dataclass
from typing import Any

from crack_lightning.data.options import JudgedDataOptions
from crack_lightning.engines.engine_names import DEVICES, ENGINES
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import (
    check_above,
    check_batches,
    check_choices,
    one_of,
    suggested,
)

ALLOWED_SIDES_PX = range(64, 4097)


@dataclass
class EvaluateOptions:
    """The options of `evaluate`, which evaluates one or several checkpoints."""

    data: JudgedDataOptions
    # a best.ckpt; several for a matrix: a.ckpt,b.ckpt or {name:a.ckpt,other:b.ckpt}; null: the package's crack map
    ckpt_path: Any = None
    device: str = suggested("auto", DEVICES)  # auto, cpu, cuda, cuda:1, mps
    # what computes the features: onnxruntime, openvino, folded, eager; auto: the fastest one that agrees with eager
    engine: str = one_of("auto", ENGINES)

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass
class PredictOptions:
    """The options of `predict`. Without a checkpoint, the package's crack map predicts."""

    source: str  # a folder with its subfolders, a file, or a pattern such as /photos/*/*.jpg
    ckpt_path: str | None = None  # a best.ckpt; null: the package's crack map, which needs no training
    device: str = suggested("auto", DEVICES)  # auto, cpu, cuda, cuda:1, mps
    # what computes the features: onnxruntime, openvino, folded, eager; auto: the fastest one that agrees with eager
    engine: str = one_of("auto", ENGINES)
    batch_size: int = 64  # images at a time on a GPU; a CPU core takes four
    num_workers: int | None = None  # threads that read and compute; null: one per core
    max_megapixels: float = 200.0  # larger files are not decoded
    jsonl: bool = False  # also write predictions.jsonl, one line per image

    def __post_init__(self) -> None:
        check_choices(self)
        check_above("max_megapixels", self.max_megapixels)
        check_batches(self.batch_size, self.num_workers)


@dataclass
class ExplainOptions:
    """The options of `explain`. Without a checkpoint, the package's crack map is explained."""

    source: str  # a patch, a folder or a pattern
    ckpt_path: str | None = None  # a best.ckpt of any backbone that train.py knows; null: the package's crack map
    device: str = suggested("auto", DEVICES)  # auto, cpu, cuda, cuda:1, mps
    side_px: int = 512  # side in pixels of each half of the picture that is written
    max_megapixels: float = 200.0  # larger files are not decoded

    def __post_init__(self) -> None:
        check_above("max_megapixels", self.max_megapixels)
        if self.side_px not in ALLOWED_SIDES_PX:
            raise UserError(f"side_px={self.side_px}: must be from {ALLOWED_SIDES_PX[0]} to {ALLOWED_SIDES_PX[-1]}")
