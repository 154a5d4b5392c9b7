"""What the options of training may be, beyond their types."""

from collections.abc import Mapping
from typing import Any

from crack_lightning.evaluation.names import METRICS

OBJECTIVES = [f"{split}/{name}" for split in ("val", "test") for name in (*METRICS, "loss")]
MONITORED = [name for name in OBJECTIVES if name.startswith("val/")] + ["train/loss", "train/accuracy"]
MOST_SEED = 2**32 - 1
# Those in which every process runs this program from its start and the first one goes on alone.
CLASS_WEIGHTS = (None, "balanced")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError for a value of train.yaml that is out of range and that nobody else looks at."""
    from crack_lightning.data.samples.groups import LOOKED_FOR
    from crack_lightning.features.build import check_features

    check_features(options["features"], frozen=options["model"]["freeze"])
    _check_confidence(options)
    if options["leakage"] not in LOOKED_FOR:
        raise ValueError(f"leakage={options['leakage']}: one of {', '.join(LOOKED_FOR)}")
    if not 0 <= options["seed"] <= MOST_SEED:
        raise ValueError(f"seed={options['seed']}: 0 to {MOST_SEED}")
    if options["objective"] not in OBJECTIVES:
        raise ValueError(f"objective={options['objective']}: one of {', '.join(OBJECTIVES)}")
    epochs = options["trainer"]["max_epochs"]
    if epochs < 1 and epochs != -1:
        raise ValueError(f"trainer.max_epochs={epochs}: at least 1, or -1 for as many as early stopping allows")
    for key in ("limit_train_batches", "limit_val_batches", "limit_test_batches", "accumulate_grad_batches"):
        value = options["trainer"][key]
        if isinstance(value, int | float) and value <= 0:
            raise ValueError(f"trainer.{key}={value}: above 0")
    if options["trainer"]["strategy"] not in STRATEGIES:
        raise ValueError(f"trainer.strategy={options['trainer']['strategy']}: one of {', '.join(STRATEGIES)}")
    for name, callback in options["callbacks"].items():
        monitor = (callback or {}).get("monitor")
        if monitor is not None and monitor not in MONITORED:
            raise ValueError(f"callbacks.{name}.monitor={monitor}: one of {', '.join(MONITORED)}")


def _check_confidence(options: Mapping[str, Any]) -> None:
    from crack_lightning.evaluation.calibration import parse_threshold

    parse_threshold(options["threshold"])
    weights, rate = options["task"]["class_weights"], options["review_band"]
    if weights not in CLASS_WEIGHTS:
        raise ValueError(f"task.class_weights={weights}: balanced or null")
    if rate is not None and not 0 <= rate < 1:
        raise ValueError(f"review_band={rate}: a share of errors, 0 or more and below 1, or null")
