"""The names of devices, engines and export formats."""

from crack_lightning.system.ranges import check_among

DEVICES = ("auto", "cpu", "cuda", "mps")
ENGINES = ("auto", "onnxruntime", "openvino", "folded", "eager")
ONNX, OPENVINO, TORCH_EXPORT, DEEPNESS, SAFETENSORS = "onnx", "openvino", "torch_export", "deepness", "safetensors"
FORMATS = (ONNX, OPENVINO, TORCH_EXPORT, DEEPNESS, SAFETENSORS)


def check_engine(name: str, *, key: str = "engine") -> None:
    """Raises UserError for an unknown engine; `key` is the option that names it."""
    check_among(key, name, ENGINES)
