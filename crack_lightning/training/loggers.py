"""Loggers of other services, made so that nothing leaves the machine that was not asked for."""

import os
from pathlib import Path

from lightning.pytorch.loggers import Logger

from crack_lightning.errors import MissingPackage


def mlflow_logger(*, experiment_name: str, tracking_uri: str | None, run_name: str | None, save_dir: str) -> Logger:
    """Lightning's MLFlowLogger; without a `tracking_uri` runs are kept as files in mlflow/ of `save_dir`.

    Raises MissingPackage that names the pip line.
    """
    # The first: MLflow 3.13 and later keep files only where this is set. The second: it would report its use.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from lightning.pytorch.loggers import MLFlowLogger

    uri = tracking_uri or Path(save_dir, "mlflow").absolute().as_uri()
    try:
        return MLFlowLogger(experiment_name=experiment_name, tracking_uri=uri, run_name=run_name)
    except ModuleNotFoundError as error:
        raise MissingPackage('logger=mlflow needs MLflow: pip install -e ".[mlflow]"') from error


def wandb_logger(*, project: str, name: str | None, offline: bool, save_dir: str) -> Logger:
    """Lightning's WandbLogger, which keeps what it logs in wandb/ of `save_dir`; `offline` sends nothing.

    Raises MissingPackage that names the pip line.
    """
    from lightning.pytorch.loggers import WandbLogger

    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        return WandbLogger(project=project, name=name, offline=offline, save_dir=save_dir)
    except ModuleNotFoundError as error:
        raise MissingPackage('logger=wandb needs Weights & Biases: pip install -e ".[wandb]"') from error
