"""Small surfaces and small runs: no network, no GPU, no cache of the user's."""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from browsers import browser as browser
from browsers import open_page as open_page
from browsers import walls as walls
from composing import read_files_once, register_once
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from pages import ask as ask
from pages import attacked as attacked
from pages import key as key
from PIL import Image
from projects import project as project
from projects import walls_inspected as walls_inspected

from crack_lightning.cli.options import options_of
from crack_lightning.data.synthetic.surface_folder import write_surfaces
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.decision import Decision
from crack_lightning.system.logs import HIDDEN_WARNINGS
from crack_lightning.system.option_groups import CONF

# Half a second an epoch: random weights, tiny pictures, no loading processes.
TINY = [
    "data=folder",
    "data.image_size=32",
    "data.batch_size=8",
    "data.num_workers=0",
    "model.weights=null",
    "model.dropout=0.5",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "logger=none",
    "figures=false",
    "features.engine=eager",  # no network to export or fold for a few pictures
]


def classifier(backbone: str, image_size: int = 64, *, dropout: float = 0.3, freeze: bool = True) -> CrackClassifier:
    """One of random weights."""
    return CrackClassifier(
        backbone=backbone,
        decision=Decision(("Negative", "Positive"), "Positive"),
        image_size=image_size,
        dropout=dropout,
        freeze=freeze,
    )


def drawn(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, 2) that are right as often as their softmax says, and the labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, 2, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return logits, labels


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name which `make` fills: once a session, by the process that asks first. Not to be changed."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


def some(names: Iterable[str], *by_default: str) -> list[Any]:
    """Parameters of a test: all of `names`, of which those that are not among `by_default` are slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in by_default)) for name in names]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """On all cores by itself, where pytest-xdist is there and nobody says otherwise (-n 0, -p no:xdist, --pdb)."""
    if hasattr(config, "workerinput"):
        return  # one of those processes
    free = getattr(config.option, "numprocesses", "no xdist") is None and not config.option.usepdb
    if free and config.option.dist == "no" and not config.option.collectonly and _many(config.args):
        config.option.numprocesses = os.cpu_count() or 1
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"  # what a module makes once is made in one process
        config.option.loadscopereorder = False  # not those of most tests first, but those that take longest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: no process is left alone with one of them at the end."""
    seconds = Counter[Path]()
    for item in items:
        names = {mark.name for mark in item.iter_markers()}
        seconds[item.path] += 15 if "browser" in names else 5 if "slow" in names else 0.1
    items.sort(key=lambda item: -seconds[item.path])


def _many(args: list[str]) -> bool:
    """Whether a whole folder is asked for: processes take longer to start than a few tests."""
    return any(Path(argument.partition("::")[0]).is_dir() for argument in args)


def pytest_configure(config: pytest.Config) -> None:
    if processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        # Threads that wait for cores which another process of pytest -n has take several times as long.
        threads = max(1, (os.cpu_count() or 1) // processes)
        torch.set_num_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # for the commands that tests start
    read_files_once()
    for text in HIDDEN_WARNINGS:
        config.addinivalue_line("filterwarnings", "ignore:" + text.replace(":", "\\:"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="session")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 40 synthetic surfaces of 64 pixels. Not to be changed."""
    names = ["Negative", "Positive"]
    return once(
        tmp_path_factory,
        "surfaces",
        lambda folder: write_surfaces(folder, count=40, seed=5, size_px=64, class_names=names, workers=1),
    )


def compose_into(folder: Path, name: str, overrides: list[str]) -> DictConfig:
    """A command's configuration as its command line would compose it, the run folder being `folder`."""
    register_once()
    GlobalHydra.instance().clear()
    initialize_config_dir(str(CONF), version_base="1.3")
    cfg = compose(name, overrides=overrides, return_hydra_config=True)
    folder.mkdir(exist_ok=True)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder)
        cfg.hydra.job.config_name = name
        cfg.hydra.mode = "RUN"
        cfg.hydra.overrides.task = overrides
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose a command's configuration, the run folder being tmp_path/<run>."""

    def compose_command(name: str, overrides: list[str], *, run: str = "run") -> DictConfig:
        return compose_into(tmp_path / run, name, overrides)

    return compose_command


@pytest.fixture
def composed(configured: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., tuple[Any, Path]]:
    """What a command is called with: its options, and the run folder tmp_path/<run>."""

    def options_and_folder(name: str, overrides: list[str], *, run: str = "run") -> tuple[Any, Path]:
        return options_of(configured(name, overrides, run=run)), tmp_path / run

    return options_and_folder


def train_once(factory: pytest.TempPathFactory, name: str, surfaces: Path, *overrides: str) -> Path:
    """The folder of a run on the small surfaces, trained once a session. Not to be changed."""
    from crack_lightning.cli.training import train

    def make(folder: Path) -> None:
        options = [*TINY, f"data.root={surfaces}", f"cache_dir={folder.with_suffix('.cache')}", *overrides]
        train(compose_into(folder, "train", options))

    return once(factory, name, make)


@pytest.fixture(scope="session")
def checkpoint(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best.ckpt of one epoch on the small surfaces, with a threshold and a review band. Not to be changed."""
    options = ["trainer.max_epochs=1", "threshold=0.2", "review_band=0.05"]
    return train_once(tmp_path_factory, "decided", surfaces, *options) / "checkpoints/best.ckpt"


@pytest.fixture(scope="session")
def one_epoch(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch on the small surfaces. Not to be changed."""
    return train_once(tmp_path_factory, "one_epoch", surfaces, "trainer.max_epochs=1")


@pytest.fixture(scope="session")
def two_epochs(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs on the small surfaces. Not to be changed."""
    return train_once(tmp_path_factory, "two_epochs", surfaces)


@pytest.fixture(scope="session")
def two_live_epochs(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `two_epochs`, on the pictures instead of kept features. Not to be changed."""
    return train_once(tmp_path_factory, "two_live_epochs", surfaces, "features=live")


@pytest.fixture
def trained(configured: Callable[..., DictConfig], surfaces: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train on the small surfaces and return the run folder."""
    from crack_lightning.cli.training import train

    def run(*overrides: str, run: str = "run", base: Any = TINY) -> Path:
        # A resumed run (base=[]) finds its own way back to the photographs.
        root = [f"data.root={surfaces}"] if base else []
        train(configured("train", [*base, *root, *overrides], run=run))
        return tmp_path / run

    return run


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation draws none, which takes longer than all else that it does on a few pictures."""
    monkeypatch.setattr("crack_lightning.runs.judging.evaluating.evaluation_figures", lambda *given: {})


@pytest.fixture(scope="session")
def site(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs. Not to be changed."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for number, path in enumerate(sorted(surfaces.rglob("*.jpg"))[:2]):
            Image.open(path).resize((200, 130)).save(folder / f"wall {number}.jpg")

    return once(tmp_path_factory, "site", make)


@pytest.fixture
def inspected(composed: Callable[..., Any], checkpoint: Path, tmp_path: Path) -> Callable[..., Any]:
    """Inspect: the rows of inspection.csv by name of the file, and the exit status."""
    from verbs import inspect

    def run(source: Path, *overrides: str, run: str = "inspected") -> tuple[dict[str, dict[str, str]], int]:
        quoted = str(source).replace("'", r"\'")
        options = [f"ckpt_path={checkpoint}", f"source='{quoted}'", "engine=eager", *overrides]
        status = 0
        try:
            inspect(*composed("inspect", options, run=run))
        except SystemExit as end:
            status = int(end.code or 0)
        with (tmp_path / run / "inspection.csv").open(newline="", encoding="utf-8") as file:
            return {Path(row["path"]).name: row for row in csv.DictReader(file)}, status

    return run
