"""python train.py: what Hydra has to do with training."""

import logging
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from crack_lightning.cli.command import run_job
from crack_lightning.cli.options import options_of
from crack_lightning.cli.run_folders import is_multirun, run_folder
from crack_lightning.cli.verbs import VERBS
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.errors import UserError

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | None:
    """Trains as `cfg` says; returns the value of its objective, for sweeps."""
    from crack_lightning.cli.resume import given_overrides, resumed
    from crack_lightning.runs.training.training_run import train_network
    from crack_lightning.runs.training.unused_keys import check_map_keys

    is_map, given = cfg.model.kind == "crack_map", given_overrides()
    masked = cfg.data.layout == MASKED
    if is_map:
        keys = [override.lstrip("+~").partition("=")[0] for override in given]
        check_map_keys([*keys, *(["ckpt_path"] if cfg.ckpt_path is not None else [])], masked=masked)
    cfg, checkpoint = resumed(cfg)
    options = options_of(cfg)
    callbacks = [] if is_map else [callback for callback in cfg.callbacks.values() if callback]
    metrics = train_network(
        options,
        run_folder(),
        callbacks=[instantiate(callback, _convert_="all") for callback in callbacks],
        logger=_logger(cfg),
        checkpoint=checkpoint,
        overrides=given,
        most_processes=1 if is_multirun() else None,
    )
    if metrics is not None and not is_multirun():
        log.info("%s", VERBS["train"].what_next(options, run_folder()))
    return None if metrics is None else metrics["val/cells_f1" if is_map and masked else options.objective]


def _logger(cfg: DictConfig) -> Any:
    """Returns what metrics are logged to, or None. Raises what its maker raises for the user, in its own words."""
    if not cfg.logger:
        return None
    try:
        return instantiate(cfg.logger, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise


def main() -> None:
    """Runs `crack train`, as `python train.py` does."""
    run_job(train, config_name="train")
