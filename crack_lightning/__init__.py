"""Marks and measures the cracks in photographs of concrete, trains on your own, and reports how far to trust it.

    import crack_lightning as cl

    marked = cl.mark("wall.jpg", mm_per_px=0.3)
    print(marked.cracks[0].length_mm, marked.cracks[0].width_mm)
    marked.save("report")

The names in `__all__` are the public interface, described in docs/python.md; all other modules may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from crack_lightning.api.calls import audit, compare, evaluate, export, generate, inspect, predict
    from crack_lightning.api.marked import Marked, MarkedCrack
    from crack_lightning.api.model import Model, load, mark
    from crack_lightning.api.network_training import TrainingRun, train
    from crack_lightning.api.returned import AuditRun, ComparisonRun, EvaluationRun, ExportRun, InspectionRun
    from crack_lightning.errors import UserError
    from crack_lightning.runs.judging.prediction import Prediction

# Imported when they are first used: torch alone takes more than a second.
_PLACES = {
    **dict.fromkeys(("load", "mark", "Model"), "api.model"),
    **dict.fromkeys(("Marked", "MarkedCrack"), "api.marked"),
    **dict.fromkeys(("predict", "inspect", "evaluate", "compare", "export", "audit", "generate"), "api.calls"),
    **dict.fromkeys(("InspectionRun", "EvaluationRun", "ComparisonRun", "ExportRun", "AuditRun"), "api.returned"),
    **dict.fromkeys(("train", "TrainingRun"), "api.network_training"),
    "Prediction": "runs.judging.prediction",
    "UserError": "errors",
}

__all__ = [
    "AuditRun",
    "ComparisonRun",
    "EvaluationRun",
    "ExportRun",
    "InspectionRun",
    "Marked",
    "MarkedCrack",
    "Model",
    "Prediction",
    "TrainingRun",
    "UserError",
    "audit",
    "compare",
    "evaluate",
    "export",
    "generate",
    "inspect",
    "load",
    "mark",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
