"""From the command line to the options of a run: types for Hydra, then dataclasses that have checked their ranges.

Defaults stand in the dataclasses; a typo or a value of another type is refused with the key named.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from crack_lightning.cli.verbs import VERBS, options_class
from crack_lightning.errors import UserError
from crack_lightning.system.option_keys import options_from


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


def register(*names: str) -> None:
    """Makes the options of these commands known to Hydra as types; without a name, those of all commands."""
    store = ConfigStore.instance()
    parts = {
        "early_stopping": EarlyStoppingConfig,
        "best_checkpoint": BestCheckpointConfig,
        "last_checkpoint": LastCheckpointConfig,
    }
    commands = {name: options_class(name) for name in names or VERBS}
    for name, schema in (commands | parts).items():
        store.store(name=f"{name}_schema", node=schema)


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Returns the configuration resolved to plain dicts, lists and values.

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
    """Returns the dataclass that a composed configuration is of, its ranges checked.

    Raises UserError for what is missing or out of range, and for a key that does not exist.
    """
    kind: Any = OmegaConf.get_type(cfg)
    return options_from(kind, plain(cfg))
