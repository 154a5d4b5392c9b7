"""The options of loading, wherever it is done."""

import math

ON_ERROR = ("raise", "skip")


def check_loading(*, batch_size: int, num_workers: int | None, on_error: str, group: str = "data.") -> None:
    """Raise ValueError for an option of loading that is out of range; `group` is what stands before its key."""
    if batch_size < 1:
        raise ValueError(f"{group}batch_size={batch_size}: at least 1")
    if num_workers is not None and num_workers < 0:
        raise ValueError(f"{group}num_workers={num_workers}: 0 or more, or null for one a core")
    if on_error not in ON_ERROR:
        raise ValueError(f"{group}on_error={on_error}: one of {', '.join(ON_ERROR)}")


def check_megapixels(value: float, *, key: str = "max_megapixels") -> None:
    """Raise ValueError for a limit of pixels that is out of range."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{key}={value}: above 0")
