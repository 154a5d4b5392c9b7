"""Loggers of other services: what they keep of a run, and that it stays in the run folder."""

import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, metrics
from hydra.errors import HydraException
from omegaconf import DictConfig

from crack_lightning.cli.messages import message
from crack_lightning.cli.training import train
from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.system import libraries
from crack_lightning.system.option_groups import CONF
from crack_lightning.training import loggers
from crack_lightning.training.loggers import mlflow_logger, wandb_logger

LOGGED = [word for word in TINY if not word.startswith("logger=")]
TESTED = ["accuracy", "average_precision", "auroc", "f1", "loss", "precision", "recall"]
SWITCHES = (*loggers.MLFLOW_VARIABLES, "MLFLOW_TRACKING_URI", "WANDB_SILENT")


@pytest.fixture(autouse=True)
def _switches_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the project sets for its process is gone after each test."""
    for name in SWITCHES:
        monkeypatch.setenv(name, "")
        del os.environ[name]


def kept_by_mlflow(folder: Path) -> tuple[str, dict[str, float]]:
    """How the only run in a folder ended, and its last metrics of the test."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(folder.absolute().as_uri())
    (experiment,) = client.search_experiments(filter_string="name = 'crack_lightning'")
    (run,) = client.search_runs([experiment.experiment_id])
    return run.info.status, {key: value for key, value in run.data.metrics.items() if key.startswith("test/")}


def of_test(folder: Path) -> dict[str, float]:
    found = metrics(folder)
    assert {f"test/{name}" for name in TESTED} <= found.keys()
    return {name: value for name, value in found.items() if name.startswith("test/") and math.isfinite(value)}


def test_mlflow_keeps_the_metrics_of_the_test(trained: Callable[..., Path]) -> None:
    pytest.importorskip("mlflow")
    folder = trained("logger=mlflow", run="a run", base=LOGGED)  # a space, which an address has as %20
    assert kept_by_mlflow(folder / "mlflow") == ("FINISHED", pytest.approx(of_test(folder)))
    assert {name: os.environ[name] for name in SWITCHES[:2]} == dict.fromkeys(SWITCHES[:2], "true")


def test_mlflow_keeps_runs_where_it_is_told(trained: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    store = tmp_path / "store"
    folder = trained("logger=mlflow", f"logger.tracking_uri={store.as_uri()}", base=LOGGED)
    assert kept_by_mlflow(store)[1] == pytest.approx(of_test(folder))
    assert not (folder / "mlflow").exists()


@pytest.mark.slow
def test_mlflow_keeps_the_test_of_two_processes(
    surfaces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    words = ["logger=mlflow", "trainer.devices=2", "trainer.strategy=ddp"]
    run_command(surfaces, tmp_path / "run", *words)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert kept_by_mlflow(tmp_path / "run/mlflow")[1] == pytest.approx(of_test(tmp_path / "run"))


@pytest.mark.slow
def test_wandb_keeps_a_run_without_sending_it(surfaces: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    # A server that nobody listens at: whoever asks it fails or waits.
    run_command(surfaces, tmp_path / "run", "logger=wandb", WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY="")
    (offline,) = (tmp_path / "run/wandb").glob("offline-run-*")
    (kept,) = offline.glob("*.wandb")
    content = kept.read_bytes()
    assert [name for name in TESTED if f"test/{name}".encode() in content] == TESTED
    assert not list((tmp_path / "run/wandb").glob("run-*"))


def run_command(surfaces: Path, folder: Path, *overrides: str, **environment: str) -> None:
    words = [sys.executable, "train.py", *LOGGED, f"data.root={surfaces}", f"hydra.run.dir={folder}", *overrides]
    result = subprocess.run(words, cwd=CONF.parent, capture_output=True, text=True, env=os.environ | environment)
    assert result.returncode == 0, result.stderr


@pytest.fixture(params=["mlflow", "wandb"])
def missing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a logger whose package is not there."""
    name: str = request.param

    def refused(module: str) -> Any:
        if module == name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(module)

    monkeypatch.setattr(libraries, "import_module", refused)
    return name


@pytest.mark.parametrize("given", ["argument", "environment"])
@pytest.mark.parametrize("server", ["none", "silent"])
def test_a_server_that_does_not_answer_ends_with_our_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, server: str
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setattr(loggers, "TIMEOUT_S", 0.2)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if server == "silent":
            listening.listen()
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if given == "environment":
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        asked = uri if given == "argument" else None
        with pytest.raises(UserError, match=rf"logger=mlflow: {uri} does not answer within 0.2 s"):
            mlflow_logger(experiment_name="x", tracking_uri=asked, run_name=None, save_dir=str(tmp_path))


def test_the_environment_names_where_runs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    made: Any = mlflow_logger(experiment_name="x", tracking_uri=None, run_name=None, save_dir=str(tmp_path / "run"))
    made.log_metrics({"loss": 1.0}, 0)
    assert (tmp_path / "store").is_dir()
    assert not (tmp_path / "run").exists()


def test_a_missing_package_names_its_pip_line(missing: str, tmp_path: Path) -> None:
    makers = {
        "mlflow": partial(mlflow_logger, experiment_name="x", tracking_uri=None, run_name=None),
        "wandb": partial(wandb_logger, project="x", name=None, offline=True),
    }
    with pytest.raises(MissingPackage, match=rf'^logger={missing} needs .*: pip install -e "\.\[{missing}\]"$'):
        makers[missing](save_dir=str(tmp_path))


def test_training_without_the_package_says_that_alone(
    missing: str, configured: Callable[..., DictConfig], surfaces: Path
) -> None:
    cfg = configured("train", [*LOGGED, f"data.root={surfaces}", f"logger={missing}"])
    with pytest.raises((MissingPackage, HydraException)) as caught:
        train(cfg)
    named = {"mlflow": "MLflow", "wandb": "Weights & Biases"}[missing]
    assert message(caught.value) == f'logger={missing} needs {named}: pip install -e ".[{missing}]"'


def test_nothing_is_sent_unless_asked_for(configured: Callable[..., DictConfig]) -> None:
    assert configured("train", ["logger=wandb"]).logger.offline is True
    assert configured("train", ["logger=mlflow"]).logger.tracking_uri is None
