"""Makes the loggers of other services, so that nothing leaves the machine unless the user asks for it."""

import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from lightning.pytorch.loggers import Logger

from crack_lightning.errors import UserError
from crack_lightning.system.libraries import library

ANSWER_S = 10  # how long a server may take to answer
SWITCHES = {  # environment variables of MLflow
    "MLFLOW_ALLOW_FILE_STORE": "true",  # 3.13 and later keep files only where this is set
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would report its use
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds: else a server that goes away holds a run up for a quarter of an hour
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


def mlflow_logger(*, experiment_name: str, tracking_uri: str | None, run_name: str | None, save_dir: str) -> Logger:
    """Returns Lightning's MLFlowLogger; without a `tracking_uri`, or MLFLOW_TRACKING_URI in the environment, runs are
    kept as files in mlflow/ of `save_dir`.

    Raises MissingPackage that names the pip line, and UserError for a server that does not answer.
    """
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    library("mlflow", 'logger=mlflow needs MLflow: pip install -e ".[mlflow]"')
    from lightning.pytorch.loggers import MLFlowLogger

    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or Path(save_dir, "mlflow").absolute().as_uri()
    if uri.startswith(("http://", "https://")):
        _check_answers(uri)
    return MLFlowLogger(experiment_name=experiment_name, tracking_uri=uri, run_name=run_name)


def _check_answers(uri: str) -> None:
    """Raises UserError for a server that does not answer at all; any answer shows that it is there."""
    try:
        urlopen(uri, timeout=ANSWER_S).close()
    except HTTPError:
        return
    except (OSError, ValueError) as error:
        raise UserError(
            f"logger=mlflow: {uri} does not answer within {ANSWER_S} s ({getattr(error, 'reason', error)}): start it, "
            "or give another logger.tracking_uri= or MLFLOW_TRACKING_URI; without both, files lie in the run folder"
        ) from error


def wandb_logger(*, project: str, name: str | None, offline: bool, save_dir: str) -> Logger:
    """Returns Lightning's WandbLogger, which keeps what it logs in wandb/ of `save_dir`; `offline` sends nothing.

    Raises MissingPackage that names the pip line.
    """
    library("wandb", 'logger=wandb needs Weights & Biases: pip install -e ".[wandb]"')
    from lightning.pytorch.loggers import WandbLogger

    os.environ.setdefault("WANDB_SILENT", "true")
    return WandbLogger(project=project, name=name, offline=offline, save_dir=save_dir)
