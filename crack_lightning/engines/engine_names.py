"""The engines, by name."""

from crack_lightning.system.ranges import check_among

ENGINES = ("auto", "onnxruntime", "openvino", "folded", "eager")
ONNX, OPENVINO, TORCH_EXPORT, DEEPNESS, SAFETENSORS = "onnx", "openvino", "torch_export", "deepness", "safetensors"
FORMATS = (ONNX, OPENVINO, TORCH_EXPORT, DEEPNESS, SAFETENSORS)  # of exports


def check_engine(name: str, *, key: str = "engine") -> None:
    """Raise UserError for a name that is unknown; `key` is what the user sets it by."""
    check_among(key, name, ENGINES)
