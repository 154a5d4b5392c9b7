"""python train.py: what Hydra has to do with training."""

from hydra.utils import instantiate
from omegaconf import DictConfig

from crack_lightning.cli.command import is_multirun, run_folder, run_job
from crack_lightning.cli.options import options_of


def train(cfg: DictConfig) -> float | None:
    """Train as `cfg` says; the value of its objective, for sweeps."""
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


def main() -> None:
    """The command `crack-train`, as `python train.py`."""
    run_job(train, config_name="train", needs="lightning.pytorch")
