"""What an option may be: checked where its dataclass is made."""

import math
from collections.abc import Sequence

from crack_lightning.errors import UserError
from crack_lightning.system.files import expanded


def check_among(key: str, value: object, allowed: Sequence[object]) -> None:
    """Raise UserError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise UserError(f"{key}={value}: one of {', '.join(map(str, allowed))}")


def check_above(key: str, value: float | None) -> None:
    """Raise UserError unless `value` is a finite number above 0, or None."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise UserError(f"{key}={value}: a number above 0")


def whole_path(path: str | None) -> str | None:
    """`path` from the root of the disk, with ~ for the user's home."""
    return None if path is None else str(expanded(path).absolute())
