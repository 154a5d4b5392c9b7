"""Going on from a checkpoint: the run's own options again, of a closed list, and none that would spoil it.

A checkpoint may be a stranger's. What is taken from it are numbers and names of this list, with the types that the
configuration gives them: no class to instantiate, no path to write to, no device, no logger.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crack_lightning.cli.options import options_of
from crack_lightning.data.options import SurfacesOptions
from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import FACTS_KEY, read_checkpoint
from crack_lightning.system.arguments import typed

log = logging.getLogger(__name__)

TAKEN = (
    *("seed", "calibrate", "threshold", "review_band", "leakage", "figures", "objective", "task.class_weights"),
    *(f"data.{name}" for name in ("root", "layout", "labels", "class_names", "positive_class", "image_size")),
    *(
        f"data.{name}"
        for name in ("batch_size", "fractions", "group_by", "folds", "fold", "on_error", "surfaces", "crack_label")
    ),
    *(f"data.{name}" for name in ("max_megapixels", "mm_per_px", "flip_probability", "rotation_degrees")),
    *(f"model.{name}" for name in ("backbone", "weights", "freeze", "dropout")),
    *(f"features.{name}" for name in ("mode", "views", "dtype", "identity", "engine")),
    *(f"optimizer.{name}" for name in ("name", "lr", "backbone_lr", "weight_decay", "options")),
    *(f"scheduler.{name}" for name in ("name", "interval", "monitor", "options")),
    *(f"trainer.{name}" for name in ("precision", "max_epochs", "min_epochs", "max_time", "gradient_clip_val")),
    *(f"trainer.limit_{name}_batches" for name in ("train", "val", "test")),
    *(f"trainer.{name}" for name in ("accumulate_grad_batches", "deterministic", "log_every_n_steps")),
    *(f"callbacks.early_stopping.{name}" for name in ("monitor", "mode", "patience", "min_delta")),
    *(f"callbacks.best_checkpoint.{name}" for name in ("monitor", "mode")),
)
# Of these, Lightning restores some from the checkpoint; on the others the split depends, and the honesty of the test.
FIXED = (
    *("seed", "model", "features.views", "optimizer", "scheduler", "task.class_weights", "callbacks.early_stopping"),
    *(f"data.{name}" for name in ("class_names", "positive_class", "image_size", "fractions", "layout", "labels")),
    *(f"data.{name}" for name in ("group_by", "folds", "fold", "surfaces")),
)
ADDED = ("model.kind", "model.lessons")  # which checkpoints of former versions do not have
MAY_BE_LEFT_OUT = ("early_stopping", "best_checkpoint", "last_checkpoint")  # callbacks that a run may have gone without
SECTIONS = ("data", "model", "features", "optimizer", "scheduler", "trainer", "callbacks", "task")
NUMBERED = ("callbacks.best_checkpoint.", "callbacks.last_checkpoint.")  # of whose state nothing else is taken
OF_THE_RUN = ("dirpath", "save_dir", "default_root_dir", "ckpt_path")  # differ from run to run


def resumed(cfg: DictConfig) -> tuple[DictConfig, dict[str, Any] | None]:
    """Returns the configuration; where it names a checkpoint, that of the checkpoint's run, and the checkpoint."""
    if cfg.ckpt_path is None:
        return cfg, None
    checkpoint = read_checkpoint(cfg.ckpt_path)
    return recomposed(cfg, checkpoint), checkpoint


def given_overrides() -> list[str]:
    """Returns the arguments of this job, as a record: nothing is composed from them again."""
    return [override for override in HydraConfig.get().overrides.task if _key(override) != "ckpt_path"]


def recomposed(cfg: DictConfig, checkpoint: Mapping[str, Any]) -> DictConfig:
    """Returns the configuration of the run that wrote the checkpoint, changed by what is given now.

    Raises ValueError for a change that a resumed run cannot make, a value that is none, or a smaller number of epochs
    than are finished.
    """
    path = cfg.ckpt_path
    then = checkpoint[FACTS_KEY]["provenance"].get("config")
    epoch = checkpoint.get("epoch")
    if not isinstance(then, dict) or type(epoch) is not int or epoch < 0 or not _has_state(checkpoint):
        raise UserError(f"ckpt_path={path} predicts, but holds no state of training to go on from")
    if odd := [name for name in SECTIONS if not isinstance(then.get(name), Mapping)]:
        raise UserError(f"ckpt_path={path} cannot be continued from: its options of {', '.join(odd)} are not valid")
    _take(cfg, then, path)
    now = asdict(options_of(cfg))
    _check_unchanged(now, then)
    most = now["trainer"]["max_epochs"]
    if 0 < most <= epoch:
        raise UserError(
            f"ckpt_path={path} has finished epoch {epoch + 1}, trainer.max_epochs={most} are fewer: give a larger "
            "trainer.max_epochs to train on, or leave it out"
        )
    log.info("going on after epoch %d of %s", epoch + 1, path)
    if others := _not_taken(now, then):
        log.warning("not taken from the checkpoint, give it again if it is wanted: %s", " ".join(others))
    return cfg


def _has_state(checkpoint: Mapping[str, Any]) -> bool:
    """Returns whether the checkpoint holds the states of loops, optimisers and callbacks."""
    loops, optimizers, callbacks = (checkpoint.get(name) for name in ("loops", "optimizer_states", "callbacks"))
    return (
        isinstance(loops, Mapping)
        and type(processed := _at(loops, ["fit_loop", "epoch_progress", "current", "processed"])) is int
        and processed >= 0
        and isinstance(optimizers, list)
        and bool(optimizers)
        and isinstance(callbacks, Mapping)
        and bool(callbacks)
        and all(isinstance(state, Mapping) for state in callbacks.values())
    )


def _take(cfg: DictConfig, then: Mapping[str, Any], path: str) -> None:
    """Sets the checkpoint's values of the closed list, unless they are given now."""
    overrides = [_key(override) for override in HydraConfig.get().overrides.task]
    base = compose(config_name=HydraConfig.get().job.config_name)
    for name in MAY_BE_LEFT_OUT:
        if name in then["callbacks"] and then["callbacks"][name] is None and f"callbacks.{name}" not in overrides:
            cfg.callbacks[name] = None
    for key in TAKEN:
        keys = key.split(".")
        if not _has(then, keys) or _at_node(cfg, keys[:-1]) is None or _is_given(key, cfg, base, overrides):
            continue
        value = _at(then, keys)
        try:
            _check_value(value)
            if key == "data.surfaces" and value is not None:
                value = SurfacesOptions(**value)
            OmegaConf.update(cfg, key, value, merge=False)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"ckpt_path={path} cannot be continued from: it says {key}={value!r} ({reason})") from error


def _at_node(cfg: DictConfig, keys: Sequence[str]) -> Any:
    """Returns the section of a key; None where the run does without it."""
    return OmegaConf.select(cfg, ".".join(keys)) if keys else cfg


def _is_given(key: str, cfg: DictConfig, base: DictConfig, overrides: Sequence[str]) -> bool:
    """Returns whether a key is set by the command line: by itself, by its group, or by an experiment."""
    section, _, name = key.rpartition(".")
    if OmegaConf.is_missing(OmegaConf.select(cfg, section) if section else cfg, name):
        return False
    if any(
        key == override or key.startswith(f"{override}.") or override.startswith(f"{key}.") for override in overrides
    ):
        return True
    return _select(cfg, key) != _select(base, key)


def _select(cfg: DictConfig, key: str) -> Any:
    value = OmegaConf.select(cfg, key, throw_on_missing=False)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _check_value(value: Any) -> None:
    """Raises ValueError or TypeError for anything but plain values that mean themselves."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("a name is a text")
            _check_value(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_value(item)
    elif isinstance(value, str):
        if "${" in value or value == "???":
            raise UserError("a text that stands for something else")
    elif not isinstance(value, int | float | bool | None):
        raise TypeError(f"a {type(value).__name__}")


def _not_taken(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """Returns the other values of the run that are not on the list, as they are typed."""
    before, after = (
        {key: value for name, section in config.items() for key, value in _flat(str(name), section).items()}
        for config in (then, now)
    )
    taken = tuple(f"{key}." for key in TAKEN)
    others = [
        key
        for key, value in before.items()
        if key not in TAKEN and not key.startswith((*taken, *NUMBERED)) and key.rpartition(".")[2] not in OF_THE_RUN
        if value != after.get(key)
    ]
    return [typed(key if key in after else f"+{key}", before[key]) for key in others]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _check_unchanged(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    for section in FIXED:
        if not _has(then, section.split(".")):
            continue
        before, after = _flat(section, _at(then, section.split("."))), _flat(section, _at(now, section.split(".")))
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if old == new or key.endswith("_target_") or (key in ADDED and key not in before):
                continue
            raise UserError(
                f"{key} was {old} in the run that wrote the checkpoint and is {new} now: a resumed run keeps it. "
                "Leave the override out, or start a new run without ckpt_path"
            )


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {key: value}
    return {name: leaf for k, v in value.items() for name, leaf in _flat(f"{key}.{k}", v).items()}


def _has(config: Any, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(config, Mapping) or key not in config:
            return False
        config = config[key]
    return True


def _at(config: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config
