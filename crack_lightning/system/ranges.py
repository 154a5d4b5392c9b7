"""Checks values of options where their dataclass is made."""

import math
from collections.abc import Sequence
from dataclasses import field, fields
from difflib import get_close_matches
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.system.files import expanded

SHARDS = range(1, 100_001)


def check_among(key: str, value: object, allowed: Sequence[object]) -> None:
    """Raises UserError unless `value` is one of `allowed`; its message suggests the nearest one."""
    if value not in allowed:
        names = list(map(str, allowed))
        near = get_close_matches(str(value).lower(), names, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"{key}={value}: one of {', '.join(names)}{hint}")


def one_of(default: Any, allowed: Sequence[object]) -> Any:
    """Returns a field of options for one of `allowed`: `check_choices` refuses others, a shell completes them."""
    return field(default=default, metadata={"choices": tuple(allowed)})


def suggested(default: Any, names: Sequence[str]) -> Any:
    """Returns a field of options for which a shell completes `names`, although others are possible."""
    return field(default=default, metadata={"suggested": tuple(names)})


def check_choices(options: Any, *, group: str = "") -> None:
    """Raises UserError for a field made by `one_of` that holds none of them; `group` is what stands before its key."""
    for option in fields(options):
        value, choices = getattr(options, option.name), option.metadata.get("choices")
        if choices is not None and not (value is None and None in choices):
            check_among(f"{group}{option.name}", value, [choice for choice in choices if choice is not None])


def check_above(key: str, value: float | None) -> None:
    """Raises UserError unless `value` is a finite number above 0, or None."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise UserError(f"{key}={value}: a number above 0")


def number_of(value: object) -> float:
    """Returns a finite number as a float; NaN for anything that is not a number, or too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def check_batches(batch_size: int, num_workers: int | None, *, group: str = "") -> None:
    """Raises UserError for an empty batch or fewer than 0 workers; `group` is what stands before the keys."""
    if batch_size < 1:
        raise UserError(f"{group}batch_size={batch_size}: at least 1")
    check_workers(num_workers, group=group)


def check_workers(num_workers: int | None, *, group: str = "") -> None:
    """Raises UserError for fewer than 0 workers."""
    if num_workers is not None and num_workers < 0:
        raise UserError(f"{group}num_workers={num_workers}: 0 or more, or null for one a core")


def check_shard(shard: int | None, shards: int | None, *, group: str = "") -> None:
    """Raises UserError for a part that does not exist; `group` is what stands before the keys."""
    if shards is not None and shards not in SHARDS:
        raise UserError(f"{group}shards={shards}: {SHARDS[0]} to {SHARDS[-1]} parts")
    if shard is not None and shards is None:
        raise UserError(f"{group}shard={shard} is one of how many? Give {group}shards=N too")
    if shard is not None and shards is not None and not 0 <= shard < shards:
        raise UserError(f"{group}shard={shard}: of {group}shards={shards} the parts are 0 to {shards - 1}")


def absolute_path(path: str | None) -> str | None:
    """Returns `path` from the root of the disk, with ~ replaced by the user's home."""
    return None if path is None else str(expanded(path).absolute())
