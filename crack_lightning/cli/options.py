"""From the command line to the options of a run: types for Hydra, then dataclasses that have checked their ranges.

Defaults stand in the dataclasses; a typo or a value of another type is refused with the key named.
"""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from crack_lightning.data.synthetic.surface_folder import GenerateOptions
from crack_lightning.errors import UserError
from crack_lightning.project.options import ServeOptions
from crack_lightning.runs.audit.options import AuditOptions
from crack_lightning.runs.comparison.options import CompareOptions
from crack_lightning.runs.exporting.options import ExportOptions
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.judging.options import EvaluateOptions, ExplainOptions, PredictOptions
from crack_lightning.runs.training.options import AdaptOptions, TrainOptions
from crack_lightning.system.cache import CacheOptions

COMMANDS: dict[str, type] = {
    "train": TrainOptions,
    "evaluate": EvaluateOptions,
    "generate": GenerateOptions,
    "cache": CacheOptions,
    "audit": AuditOptions,
    "predict": PredictOptions,
    "inspect": InspectOptions,
    "compare": CompareOptions,
    "serve": ServeOptions,
    "explain": ExplainOptions,
    "export": ExportOptions,
    "adapt": AdaptOptions,
}


@dataclass
class EarlyStoppingConfig:
    """Lightning's `EarlyStopping`."""

    _target_: str
    monitor: str
    mode: str
    patience: int
    min_delta: float


@dataclass
class BestCheckpointConfig:
    """A `BestCheckpoint`."""

    _target_: str
    monitor: str
    mode: str


@dataclass
class LastCheckpointConfig:
    """A `LastCheckpoint`."""

    _target_: str


def register() -> None:
    """Make the types known to Hydra."""
    store = ConfigStore.instance()
    parts = {
        "early_stopping": EarlyStoppingConfig,
        "best_checkpoint": BestCheckpointConfig,
        "last_checkpoint": LastCheckpointConfig,
    }
    for name, schema in (COMMANDS | parts).items():
        store.store(name=f"{name}_schema", node=schema)


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration resolved to plain dicts, lists and values.

    Raises UserError that names the keys which only the user knows and has not given.
    """
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise UserError(f"{' and '.join(missing)} not set: give {' '.join(f'{key}=...' for key in missing)}")
    container = OmegaConf.to_container(cfg, resolve=True)
    if not isinstance(container, dict):
        raise TypeError(f"a configuration is a mapping, not a {type(container).__name__}")
    return {str(key): value for key, value in container.items()}


def options_of(cfg: DictConfig) -> Any:
    """The dataclass that a composed configuration is of, its ranges checked.

    Raises UserError for what is missing or out of range, or that there is no key for.
    """
    kind: Any = OmegaConf.get_type(cfg)
    if unknown := next(_unknown(kind, cfg), None):
        raise UserError(f"there is no key {unknown}.{near_key(unknown, kind)}")
    return _made(kind, plain(cfg))


def _unknown(kind: Any, cfg: DictConfig, above: str = "") -> Iterator[str]:
    """Keys that were added to a configuration and that its dataclass does not have."""
    hints = get_type_hints(kind)
    for name in map(str, cfg):
        if name not in hints:
            yield f"{above}{name}"
        elif (section := section_of(hints[name])) is not None and not OmegaConf.is_missing(cfg, name) and cfg[name]:
            yield from _unknown(section, cfg[name], f"{above}{name}.")


def near_key(unknown: str, kind: type) -> str:
    """A question for the key that may have been meant; nothing where none is near."""
    known = [key for key, _ in keys(kind)]
    last = {key.rpartition(".")[2]: key for key in reversed(known)}
    name = unknown.rpartition(".")[2]
    near = get_close_matches(unknown, known, 1, 0.7)
    near = near or [last[each] for each in get_close_matches(name, last, 1, 0.7)]
    near = near or [last[each] for each in last if each.startswith(name)]
    return f" Did you mean {near[0]}?" if near and near[0] != unknown else ""


def keys(kind: type, above: str = "") -> Iterator[tuple[str, Any]]:
    """All keys of a dataclass with their types, those of its sections, which come before them, as section.key."""
    for name, hint in get_type_hints(kind).items():
        yield f"{above}{name}", hint
        if (section := section_of(hint)) is not None:
            yield from keys(section, f"{above}{name}.")


def section_of(hint: Any) -> type | None:
    """The dataclass that a key of this type holds, or None."""
    return next((part for part in (hint, *get_args(hint)) if isinstance(part, type) and is_dataclass(part)), None)


def _made(kind: Any, values: dict[str, Any]) -> Any:
    """A dataclass of plain values, its sections first: their ranges are checked before its own."""
    hints = get_type_hints(kind).items()
    sections = {name: section for name, hint in hints if (section := section_of(hint)) is not None}
    made = {name: _made(sections[name], values[name]) for name in sections if values[name] is not None}
    return kind(**values | made)
