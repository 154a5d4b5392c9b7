"""Training from Python, with the groups and keys of `python train.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from crack_lightning.api.model import Model, load
from crack_lightning.api.notebook import table_html
from crack_lightning.api.returned import headline
from crack_lightning.api.run_context import results_folder, with_keys_of
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.errors import UserError
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.runs.training.training_run import train_network
from crack_lightning.runs.training.unused_keys import check_map_keys
from crack_lightning.system.arguments import typed
from crack_lightning.system.option_groups import group_values
from crack_lightning.system.option_keys import SHORT_KEYS, options_from
from crack_lightning.system.tables import records_of_table

GROUPS = ("data", "model", "features", "optimizer", "scheduler", "trainer")  # whose options are chosen by name
FOLDER = "${hydra:runtime.output_dir}"  # how conf/ writes the folder of the run


@dataclass(frozen=True)
class TrainingRun:
    """The results of `train`: the `folder`, and `metrics` of training, validation and test, such as test/accuracy."""

    folder: Path
    metrics: dict[str, float]

    @property
    def ckpt_path(self) -> Path:
        """Returns the path of the best checkpoint."""
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def model(self) -> Model:
        """Returns the best checkpoint as a model."""
        return load(self.ckpt_path)

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """Returns a row for each test picture, with the columns of predictions.csv; none where masks were tested."""
        path = self.folder / "predictions.csv"
        return records_of_table(path) if path.is_file() else []

    def __str__(self) -> str:
        return f"test {headline(self.metrics)}: {self.ckpt_path}"

    def _repr_html_(self) -> str:
        tested = {name: value for name, value in self.metrics.items() if name.startswith("test/")}
        rows = [{"metric": name, "value": f"{value:.4f}"} for name, value in tested.items()]
        return f"<p>{escape(str(self))}</p>{table_html(rows)}"


@with_keys_of(TrainOptions, without=("ckpt_path",))
def train(
    root: str | Path | None = None,
    *,
    model: str | Mapping[str, Any] = "mobilenet_v2",
    epochs: int | None = None,
    out: str | Path | None = None,
    data: str | Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    logger: str | Logger | None = "tensorboard",
    progress: bool | None = None,
    **options: Any,
) -> TrainingRun:
    """Trains on a folder with a folder for each class, reloads the best checkpoint and tests it, as `python train.py`.

    Without `root` surfaces are drawn. A section (data, model, features, optimizer, scheduler, trainer, task) is the
    name of its group or a mapping of keys; a single key is also written {"optimizer.lr": 1e-4}. `callbacks` are added
    to early stopping and the checkpoints; `logger` is tensorboard, csv, mlflow, wandb, None, or Lightning's.

    Raises UserError or OSError for what cannot be trained, before anything slow begins.

    >>> run = cl.train("patches", model="mobilenet_v2", epochs=1, out="run")
    >>> accuracy = run.metrics["test/accuracy"]
    >>> model, wrong = run.model, [row for row in run.predictions if row["label"] != row["predicted"]]
    """
    if options.get("ckpt_path") is not None:
        raise UserError("ckpt_path: a run is continued by the command line, python train.py ckpt_path=last.ckpt")
    section = data if data is not None else "synthetic" if root is None else "folder"
    given = {**options, **({} if epochs is None else {"epochs": epochs})}
    settings = _settings({**options, "model": model, "data": section}, root, epochs)
    if settings.model.is_map:
        check_map_keys([SHORT_KEYS.get(key, key) for key in given], masked=settings.data.layout == MASKED)
    made = _all_callbacks(settings, callbacks, logged=logger is not None)
    given["model"] = model
    with results_folder("train", out, {"root": root, "data": section, **given}, progress) as folder:
        if progress is not None:
            settings.trainer.enable_progress_bar = progress
        overrides = [typed(key, value if isinstance(value, Mapping) else str(value)) for key, value in given.items()]
        logging_to = _made_logger(logger, settings, folder)
        metrics = train_network(settings, folder, callbacks=made, logger=logging_to, overrides=overrides)
    return TrainingRun(folder, metrics or {})


def _settings(chosen: Mapping[str, Any], root: str | Path | None, epochs: int | None) -> TrainOptions:
    """Returns the options of a training, from its groups and keys."""
    keys = {} if root is None else {"data.root": root}
    settings: TrainOptions = options_from(TrainOptions, _composed(chosen, keys, epochs))
    _resolve(settings)
    return settings


def _composed(chosen: Mapping[str, Any], keys: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """Returns the values by key: what the named groups set, then what is given by key."""
    values: dict[str, Any] = {}
    for name, value in chosen.items():
        group = group_values(name, value) if name in GROUPS and isinstance(value, str) else value
        values[name] = dict(group) if isinstance(group, Mapping) else group
    if epochs is not None:
        values[SHORT_KEYS["epochs"]] = epochs
    return values | dict(keys)


def _resolve(settings: TrainOptions) -> None:
    """Puts the value of another key where a group refers to one, as the cosine schedule does to the epochs."""
    for options in (settings.optimizer.options, settings.scheduler.options):
        for name, value in options.items():
            if isinstance(value, str) and value.startswith("${"):
                options[name] = attrgetter(value[2:-1])(settings)


def _all_callbacks(settings: TrainOptions, added: Sequence[Callback], *, logged: bool) -> list[Callback]:
    """Returns the default callbacks and those of the user; a crack map, which has no epochs, has none."""
    if other := next((callback for callback in added if not isinstance(callback, Callback)), None):
        raise UserError(f"callbacks: {other!r} is not a callback of Lightning's")
    return [] if settings.model.is_map else [*_default_callbacks(settings, logged=logged), *added]


def _default_callbacks(settings: TrainOptions, *, logged: bool) -> list[Callback]:
    """Returns early stopping, the two checkpoints and what draws for the logger, as conf/callbacks has them."""
    values = group_values("callbacks", "default")
    settings.callbacks = (
        values if logged else {name: facts for name, facts in values.items() if name != "learning_rate"}
    )
    return [_instance(facts) for facts in settings.callbacks.values()]


def _made_logger(logger: str | Logger | None, settings: TrainOptions, folder: Path) -> Logger | None:
    """Returns what metrics are logged to; its record stands in config.yaml."""
    if logger is None or logger == "none":
        return None
    if not isinstance(logger, str):
        return logger
    values = group_values("logger", logger)
    settings.logger = {key: str(folder) if value == FOLDER else value for key, value in values.items()}
    made: Logger = _instance(settings.logger)
    return made


def _instance(facts: Mapping[str, Any]) -> Any:
    """Returns an object of conf/: its `_target_`, called with the other values."""
    module, _, name = facts["_target_"].rpartition(".")
    return getattr(import_module(module), name)(**{key: value for key, value in facts.items() if key != "_target_"})
