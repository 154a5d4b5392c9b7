"""Imports torchvision for the whole package, without torch's compiler, which takes 1.6 of the 1.8 seconds.

torchvision imports `torch._dynamo` only to call `is_compile_supported` in one operator (`roi_align`, not used here).
While torchvision is imported, a substitute takes the place of that module; it loads the real one at the first use.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER_MODULE = "torch._dynamo.utils"


class _Substitute(ModuleType):
    """A substitute for the compiler's module that loads the real one when one of its functions is used."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        """Returns the result of the real function of this name."""
        return bool(import_module(COMPILER_MODULE).is_compile_supported(device_type))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(COMPILER_MODULE) is self:
            del sys.modules[COMPILER_MODULE]
        return getattr(import_module(COMPILER_MODULE), name)


if not {COMPILER_MODULE, "torchvision"} & set(sys.modules):
    sys.modules[COMPILER_MODULE] = _substitute = _Substitute(COMPILER_MODULE)
    try:
        import_module("torchvision")
    finally:
        if sys.modules.get(COMPILER_MODULE) is _substitute:
            del sys.modules[COMPILER_MODULE]

from torchvision import models  # noqa: E402
from torchvision.models import WeightsEnum, get_model, get_model_weights  # noqa: E402
from torchvision.transforms.functional import pil_to_tensor  # noqa: E402
from torchvision.utils import make_grid  # noqa: E402

__all__ = [
    "WeightsEnum",
    "get_model",
    "get_model_weights",
    "make_grid",
    "models",
    "pil_to_tensor",
]
