"""The engines, by name."""

from crack_lightning.system.ranges import check_among

ENGINES = ("auto", "onnxruntime", "folded", "eager")


def check_engine(name: str, *, key: str = "engine") -> None:
    """Raise UserError for a name that is unknown; `key` is what the user sets it by."""
    check_among(key, name, ENGINES)
