"""Going on from a checkpoint: the run's own options again, and none that would spoil it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from crack_lightning.commands import plain
from crack_lightning.models.checkpoint import FACTS_KEY

log = logging.getLogger(__name__)

# Lightning restores these from the checkpoint, or the split and with it the honesty of the test hangs on them.
FIXED = (
    "seed",
    "model",
    "optimizer",
    "scheduler.name",
    "data.class_names",
    "data.positive_class",
    "data.image_size",
    "data.fractions",
    "data.surfaces",
)


def given_overrides(checkpoint: Mapping[str, Any] | None) -> list[str]:
    """The overrides to repeat this job with, those of the run that it resumes among them."""
    given = [override for override in HydraConfig.get().overrides.task if _key(override) != "ckpt_path"]
    return given if checkpoint is None else _merged(checkpoint[FACTS_KEY]["provenance"]["overrides"], given)


def recomposed(cfg: DictConfig, checkpoint: Mapping[str, Any]) -> DictConfig:
    """The configuration of the run that left the checkpoint, changed by what is given now.

    Raises ValueError for a change that a resumed run cannot make, or when nothing is left to train.
    """
    if "loops" not in checkpoint or "optimizer_states" not in checkpoint:
        raise ValueError(f"ckpt_path={cfg.ckpt_path} predicts, but holds no state of training to go on from")
    provenance = checkpoint[FACTS_KEY]["provenance"]
    overrides = _merged(provenance["overrides"], HydraConfig.get().overrides.task)
    log.info("resuming epoch %d with %s", checkpoint["epoch"] + 1, " ".join(overrides))
    resumed = compose(config_name=HydraConfig.get().job.config_name, overrides=overrides)
    options = plain(resumed)
    _check_unchanged(options, provenance["config"])
    most = options["trainer"]["max_epochs"]
    if 0 < most <= checkpoint["epoch"] + 1:
        raise ValueError(
            f"ckpt_path={cfg.ckpt_path} has finished epoch {checkpoint['epoch'] + 1} of trainer.max_epochs={most}: "
            "give a larger trainer.max_epochs to train on"
        )
    return resumed


def _merged(earlier: Sequence[str], later: Sequence[str]) -> list[str]:
    keys = {_key(override) for override in later}
    return [*(override for override in earlier if _key(override) not in keys), *later]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _check_unchanged(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    for key in FIXED:
        old, new = _at(then, key.split(".")), _at(now, key.split("."))
        if old != new:
            raise ValueError(
                f"{key} was {old} in the run that left the checkpoint and is {new} now: a resumed run keeps it. "
                "Leave the override out, or start a new run without ckpt_path"
            )


def _at(config: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config
