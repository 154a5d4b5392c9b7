"""Checks the values of options when their dataclass is created."""

import math
from collections.abc import Sequence
from dataclasses import field, fields
from difflib import get_close_matches
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.system.files import expanded

SHARD_COUNTS = range(1, 100_001)


def check_among(key: str, value: object, allowed: Sequence[object]) -> None:
    """Raises UserError unless `value` is one of `allowed`; its message suggests the most similar one."""
    if value not in allowed:
        names = list(map(str, allowed))
        near = get_close_matches(str(value).lower(), names, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"{key}={value}: must be one of {', '.join(names)}{hint}")


def one_of(default: Any, allowed: Sequence[object]) -> Any:
    """Returns a field whose value must be one of `allowed`, which `check_choices` checks and the shell completes."""
    return field(default=default, metadata={"choices": tuple(allowed)})


def suggested(default: Any, names: Sequence[str]) -> Any:
    """Returns a field for which the shell completes `names`, although other values are allowed."""
    return field(default=default, metadata={"suggested": tuple(names)})


def check_choices(options: Any, *, group: str = "") -> None:
    """Raises UserError for a field made by `one_of` whose value is not allowed; `group` is the prefix of its key."""
    for option in fields(options):
        value, choices = getattr(options, option.name), option.metadata.get("choices")
        if choices is not None and not (value is None and None in choices):
            check_among(f"{group}{option.name}", value, [choice for choice in choices if choice is not None])


def check_above(key: str, value: float | None) -> None:
    """Raises UserError unless `value` is a finite number above 0, or None."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise UserError(f"{key}={value}: must be a number above 0")


def number_of(value: object) -> float:
    """Returns a finite number as a float; NaN for anything else, and for an integer too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def check_batches(batch_size: int, num_workers: int | None, *, group: str = "") -> None:
    """Raises UserError for a batch size below 1 or fewer than 0 workers; `group` is the prefix of the keys."""
    if batch_size < 1:
        raise UserError(f"{group}batch_size={batch_size}: must be at least 1")
    check_workers(num_workers, group=group)


def check_workers(num_workers: int | None, *, group: str = "") -> None:
    """Raises UserError for fewer than 0 workers; `group` is the prefix of the key."""
    if num_workers is not None and num_workers < 0:
        raise UserError(f"{group}num_workers={num_workers}: must be 0 or more, or null for one per core")


def check_shard(shard: int | None, shards: int | None, *, group: str = "") -> None:
    """Raises UserError for a part of the work that does not exist; `group` is the prefix of the keys."""
    if shards is not None and shards not in SHARD_COUNTS:
        raise UserError(f"{group}shards={shards}: must be from {SHARD_COUNTS[0]} to {SHARD_COUNTS[-1]}")
    if shard is not None and shards is None:
        raise UserError(f"{group}shard={shard}: give the number of parts too, as {group}shards=N")
    if shard is not None and shards is not None and not 0 <= shard < shards:
        raise UserError(f"{group}shard={shard}: must be from 0 to {shards - 1}, since {group}shards={shards}")


def absolute_path(path: str | None) -> str | None:
    """Returns `path` as an absolute path, with ~ replaced by the user's home folder."""
    return None if path is None else str(expanded(path).absolute())
