"""Log lines that can be shown whatever names they hold, and what libraries log on every run, which is hidden."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from crack_lightning.system.names import showable

# Logged by libraries on runs where nothing is wrong.
QUIET = (
    "\\s*'hydra/launcher/\\w+' is validated against ConfigStore schema",  # files of conf/ are named as the plugins' are
    ".*does not have many workers",
    ".*number of training batches .* is smaller than the logging interval",
    ".*module\\(s\\) in eval mode at the start of training",  # the frozen backbone
    "This property will be removed in 2.0.0. Use `Metric.updated_called`",  # torchmetrics, under the graph's tracer
    ".*torch.jit.trace",  # TensorBoard's model graph
    ".*isinstance\\(treespec, LeafSpec\\)",
)
QUIET_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed", "matplotlib")


class ShowableFormatter(logging.Formatter):
    """A formatter whose lines hold no control characters and no bytes that are not text."""

    def format(self, record: logging.LogRecord) -> str:
        return showable(super().format(record), keep="\n\t")


class LogFile(logging.FileHandler):
    """A log file in UTF-8. Where it cannot be written to, the run reports it; its log adds nothing."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", errors="backslashreplace", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def quieten() -> None:
    """Hides what libraries log on every run, whatever the user does."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for text in QUIET:
        warnings.filterwarnings("ignore", message=text)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        logging.getLogger().setLevel(logging.WARNING)


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the same while a function of Python runs; afterwards everything is as it was."""
    loggers = [logging.getLogger(name) for name in ("", *QUIET_LOGGERS)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        quieten()
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
