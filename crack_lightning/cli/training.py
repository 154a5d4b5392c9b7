"""python train.py: what Hydra has to do with training."""

from collections.abc import Sequence

from hydra.utils import instantiate
from omegaconf import DictConfig

from crack_lightning.cli.command import is_multirun, run_folder, run_job
from crack_lightning.cli.options import options_of
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.errors import UserError

# Of the arguments of training, what a crack map has no use for: its head is computed, from pictures of their own size.
OF_CLASSIFIERS = (
    *("optimizer", "scheduler", "callbacks", "task", "experiment", "features.mode", "features.views", "ckpt_path"),
    *("data.image_size", "data.flip_probability", "data.rotation_degrees", "model.dropout", "trainer.max_epochs"),
)


def train(cfg: DictConfig) -> float | None:
    """Train as `cfg` says; the value of its objective, for sweeps."""
    if cfg.model.kind == "crack_map":
        return _train_map(cfg)
    from crack_lightning.cli.resume import given_overrides, resumed
    from crack_lightning.runs.training import train_classifier

    cfg, checkpoint = resumed(cfg)
    options = options_of(cfg)

    metrics = train_classifier(
        options,
        run_folder(),
        callbacks=[instantiate(callback, _convert_="all") for callback in cfg.callbacks.values() if callback],
        logger=instantiate(cfg.logger, _convert_="all") if cfg.logger else False,
        checkpoint=checkpoint,
        overrides=given_overrides(),
        most_processes=1 if is_multirun() else None,
    )
    return None if metrics is None else metrics[options.objective]


def _train_map(cfg: DictConfig) -> float:
    from crack_lightning.cli.resume import given_overrides
    from crack_lightning.runs.map_training import train_map
    from crack_lightning.runs.mask_training import train_map_on_masks

    options, overrides = options_of(cfg), given_overrides()
    check_map_overrides([*overrides, *(["ckpt_path"] if cfg.ckpt_path is not None else [])])
    loggers = [instantiate(cfg.logger, _convert_="all")] if cfg.logger else []
    job = train_map_on_masks if options.data.layout == MASKED else train_map
    metrics: dict[str, float] = job(options, run_folder(), loggers=loggers, overrides=overrides)
    if options.data.layout == MASKED:
        return metrics["val/cells_f1"]
    if options.objective not in metrics:
        raise UserError(f"objective={options.objective}: not of these data; there are {', '.join(sorted(metrics))}")
    return metrics[options.objective]


def check_map_overrides(overrides: Sequence[str]) -> None:
    """Raise UserError for arguments that training a crack map would pass over in silence."""
    given = [override.lstrip("+~").partition("=")[0] for override in overrides]
    if unused := [key for key in given if any(key == each or key.startswith(f"{each}.") for each in OF_CLASSIFIERS)]:
        raise UserError(
            f"{', '.join(unused)}: not used with model=crack_map, whose head is computed from pictures of their own "
            "size; leave it out, or train model=mobilenet_v2"
        )


def main() -> None:
    """The command `crack-train`, as `python train.py`."""
    run_job(train, config_name="train", needs="lightning.pytorch")
