"""The options of `evaluate`, `predict` and `explain`: the only place of their defaults and ranges."""

from dataclasses import dataclass
from typing import Any

from crack_lightning.data.options import JudgedDataOptions
from crack_lightning.engines.engine_names import check_engine
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import (
    check_above,
    check_batches,
)

SIDES_PX = range(64, 4097)


@dataclass
class EvaluateOptions:
    """Of `evaluate`: a checkpoint, several with commas or as a list, or a mapping of names to them."""

    data: JudgedDataOptions
    # a best.ckpt; several for a matrix: a.ckpt,b.ckpt or {name:a.ckpt,other:b.ckpt}; null: the package's crack map
    ckpt_path: Any = None
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    # what computes the features: onnxruntime, openvino, folded, eager; auto is the fastest that is there and agrees
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)


@dataclass
class PredictOptions:
    """Of `predict`. Without a checkpoint the crack map of the package predicts."""

    source: str  # a folder with its subfolders, a file, or a pattern such as /photos/*/*.jpg
    ckpt_path: str | None = None  # a best.ckpt; null: the crack map of the package, which needs no training
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    # what computes the features: onnxruntime, openvino, folded, eager; auto is the fastest that is there and agrees
    engine: str = "auto"
    batch_size: int = 64  # on a GPU; a core takes four at a time
    num_workers: int | None = None  # threads that read and compute; null: one a core
    max_megapixels: float = 200.0  # larger files are not decoded
    jsonl: bool = False  # predictions.jsonl too, a line an image

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_above("max_megapixels", self.max_megapixels)
        check_batches(self.batch_size, self.num_workers)


@dataclass
class ExplainOptions:
    """Of `explain`. Without a checkpoint the crack map of the package is explained."""

    source: str  # a patch, a folder or a pattern
    ckpt_path: str | None = None  # a best.ckpt of any backbone that train.py knows; null: the crack map of the package
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    side_px: int = 512  # of the picture that is written
    max_megapixels: float = 200.0  # larger files are not decoded

    def __post_init__(self) -> None:
        check_above("max_megapixels", self.max_megapixels)
        if self.side_px not in SIDES_PX:
            raise UserError(f"side_px={self.side_px}: {SIDES_PX[0]} to {SIDES_PX[-1]}")
