"""Creates loggers of other services, which send nothing from the machine unless the user asks for it."""

import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from lightning.pytorch.loggers import Logger

from crack_lightning.errors import UserError
from crack_lightning.system.libraries import library

TIMEOUT_S = 10  # how long to wait for the answer of a server
MLFLOW_VARIABLES = {  # environment variables and their values here
    "MLFLOW_ALLOW_FILE_STORE": "true",  # MLflow 3.13 and later write files only if this is set
    "MLFLOW_DISABLE_TELEMETRY": "true",  # else MLflow reports its use
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds; by default, a server that stops blocks a run for 15 minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


def mlflow_logger(*, experiment_name: str, tracking_uri: str | None, run_name: str | None, save_dir: str) -> Logger:
    """Returns Lightning's MLFlowLogger; without a URI it writes files into mlflow/ in `save_dir`.

    The URI is `tracking_uri` or else the environment variable MLFLOW_TRACKING_URI. Raises MissingPackage, with the pip
    command, when MLflow is not installed, and UserError for a server that does not answer.
    """
    for name, value in MLFLOW_VARIABLES.items():
        os.environ.setdefault(name, value)
    library("mlflow", 'logger=mlflow needs MLflow: pip install -e ".[mlflow]"')
    from lightning.pytorch.loggers import MLFlowLogger

    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or Path(save_dir, "mlflow").absolute().as_uri()
    if uri.startswith(("http://", "https://")):
        _check_answers(uri)
    return MLFlowLogger(experiment_name=experiment_name, tracking_uri=uri, run_name=run_name)


def _check_answers(uri: str) -> None:
    """Raises UserError for a server that does not answer; an HTTP error is an answer too."""
    try:
        urlopen(uri, timeout=TIMEOUT_S).close()
    except HTTPError:
        return
    except (OSError, ValueError) as error:
        raise UserError(
            f"logger=mlflow: {uri} does not answer within {TIMEOUT_S} s ({getattr(error, 'reason', error)}): start it, "
            "or give another logger.tracking_uri= or MLFLOW_TRACKING_URI; without both, the run folder gets files"
        ) from error


def wandb_logger(*, project: str, name: str | None, offline: bool, save_dir: str) -> Logger:
    """Returns Lightning's WandbLogger, which writes into wandb/ in `save_dir` and, with `offline`, sends nothing.

    Raises MissingPackage, with the pip command, when Weights & Biases is not installed.
    """
    library("wandb", 'logger=wandb needs Weights & Biases: pip install -e ".[wandb]"')
    from lightning.pytorch.loggers import WandbLogger

    os.environ.setdefault("WANDB_SILENT", "true")
    return WandbLogger(project=project, name=name, offline=offline, save_dir=save_dir)
