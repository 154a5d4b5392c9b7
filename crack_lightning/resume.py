"""Going on from a checkpoint: the run's own options again, and none that would spoil it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from crack_lightning.commands import plain
from crack_lightning.models.checkpoint import FACTS_KEY, read_checkpoint

if TYPE_CHECKING:
    from crack_lightning.data.datamodule import CrackDataModule

log = logging.getLogger(__name__)

# Lightning restores these from the checkpoint, or the split and with it the honesty of the test hangs on them.
FIXED = (
    "seed",
    "model",
    "features.views",
    "optimizer",
    "scheduler",
    "task.class_weights",
    "callbacks.early_stopping",
    "data.class_names",
    "data.positive_class",
    "data.image_size",
    "data.fractions",
    "data.layout",
    "data.group_by",
    "data.folds",
    "data.fold",
    "data.surfaces",
)


def resumed(cfg: DictConfig) -> tuple[DictConfig, dict[str, Any] | None]:
    """The configuration, and where it names a checkpoint to go on from, the run's own again with that checkpoint."""
    if cfg.ckpt_path is None:
        return cfg, None
    checkpoint = read_checkpoint(cfg.ckpt_path)
    return recomposed(cfg, checkpoint), checkpoint


def given_overrides(checkpoint: Mapping[str, Any] | None, root: Path | None) -> list[str]:
    """The overrides to repeat this job with from any folder, those of the run that it resumes among them."""
    given = [override for override in HydraConfig.get().overrides.task if _key(override) != "ckpt_path"]
    if root is not None and any(_key(override) == "data.root" for override in given):
        quoted = str(root).replace("\\", "\\\\").replace("'", "\\'")
        given = [*(override for override in given if _key(override) != "data.root"), f"data.root='{quoted}'"]
    return given if checkpoint is None else _merged(checkpoint[FACTS_KEY]["provenance"]["overrides"], given)


def recomposed(cfg: DictConfig, checkpoint: Mapping[str, Any]) -> DictConfig:
    """The configuration of the run that left the checkpoint, changed by what is given now.

    Raises ValueError for a change that a resumed run cannot make, or when nothing is left to train.
    """
    if "loops" not in checkpoint or "optimizer_states" not in checkpoint:
        raise ValueError(f"ckpt_path={cfg.ckpt_path} predicts, but holds no state of training to go on from")
    provenance = checkpoint[FACTS_KEY]["provenance"]
    overrides = _merged(provenance["overrides"], HydraConfig.get().overrides.task)
    log.info("resuming after epoch %d with %s", checkpoint["epoch"] + 1, " ".join(overrides))
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


def check_split(checkpoint: Mapping[str, Any], data: "CrackDataModule") -> None:
    """Raise ValueError when the photographs, and so the split, are others than in the run that left the checkpoint."""
    from crack_lightning.data.splits import split_digest

    provenance = checkpoint[FACTS_KEY]["provenance"]
    if split_digest(data.splits) != provenance["split"]:
        raise ValueError(
            f"the photographs in {data.root} are no longer those of {provenance['data_root']} when the checkpoint was "
            "left: images it has learned from would be tested. Bring the folder back to what it was, or start a new run"
        )


def _merged(earlier: Sequence[str], later: Sequence[str]) -> list[str]:
    keys = {_key(override) for override in later}
    return [*(override for override in earlier if _key(override) not in keys), *later]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _check_unchanged(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    for section in FIXED:
        before, after = _flat(section, _at(then, section.split("."))), _flat(section, _at(now, section.split(".")))
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if old == new:
                continue
            raise ValueError(
                f"{key} was {old} in the run that left the checkpoint and is {new} now: a resumed run keeps it. "
                "Leave the override out, or start a new run without ckpt_path"
            )


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {key: value}
    return {name: found for k, v in value.items() for name, found in _flat(f"{key}.{k}", v).items()}


def _at(config: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config
