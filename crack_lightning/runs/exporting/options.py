"""The options of `export`, with their defaults and ranges."""

from dataclasses import dataclass

from crack_lightning.engines.engine_names import FORMATS, ONNX, OPENVINO
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_above, check_among, check_choices, one_of, suggested

FLOAT, INT8 = "float32", "int8"
PRECISIONS = (FLOAT, INT8)
INT8_FORMATS = (ONNX, OPENVINO)  # formats available with precision=int8


@dataclass
class ExportOptions:
    """The options of `export`, which exports the crack map of the package where no checkpoint is given.

    Raises UserError for an option out of range.
    """

    ckpt_path: str | None = None  # a best.ckpt; null: the crack map of the package
    # onnx, openvino, torch_export, safetensors, or deepness (crack maps, for QGIS); several separated by commas
    format: str = suggested(ONNX, FORMATS)
    precision: str = one_of(FLOAT, PRECISIONS)  # float32; or int8 per channel, for onnx and openvino only
    # pictures to compare on, and to calibrate int8 on; null: training pictures, else synthetic ones
    source: str | None = None
    # for int8: largest loss of accuracy, AUROC or F1; without labels: share of decisions that int8 may change
    max_loss: float = 0.002
    max_megapixels: float = 200.0  # larger pictures are not decoded

    def __post_init__(self) -> None:
        if not self.formats:
            raise UserError(
                f"format={self.format}: must be one of {', '.join(FORMATS)}, or several separated by commas"
            )
        for name in self.formats:
            check_among("format", name, FORMATS)
        check_choices(self)
        check_above("max_megapixels", self.max_megapixels)
        if not 0 <= self.max_loss < 1:
            raise UserError(f"max_loss={self.max_loss}: must be a share of decisions, from 0 to below 1")
        if self.precision == INT8 and (others := [name for name in self.formats if name not in INT8_FORMATS]):
            raise UserError(
                f"precision=int8 is available for {' and '.join(INT8_FORMATS)} only, not for {', '.join(others)}"
            )

    @property
    def formats(self) -> list[str]:
        """Returns the requested formats without repetitions."""
        return list(dict.fromkeys(name.strip() for name in self.format.split(",") if name.strip()))
