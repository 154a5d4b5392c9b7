"""Imports torchvision, for all of the package, without torch's compiler: that alone takes 1.6 of its 1.8 seconds.

One operator of torchvision (`roi_align`, not used here) imports `torch._dynamo` to ask it a question when it is called.
While torchvision is imported, a module stands in its place that asks the same question when it is asked.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo.utils"


class _Deferred(ModuleType):
    """Stands for the compiler's module: whatever is asked of it beside the one question loads the real one."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        """Returns what the real function of this name does."""
        return bool(import_module(COMPILER).is_compile_supported(device_type))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]
        return getattr(import_module(COMPILER), name)


if not {COMPILER, "torchvision"} & set(sys.modules):
    sys.modules[COMPILER] = _stand_in = _Deferred(COMPILER)
    try:
        import_module("torchvision")
    finally:
        if sys.modules.get(COMPILER) is _stand_in:
            del sys.modules[COMPILER]

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
