"""Makes log lines safe to show, whatever names they contain, and hides what libraries log on every run."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from crack_lightning.system.names import showable

# Beginnings, as regular expressions, of warnings that libraries give although nothing is wrong.
HIDDEN_WARNINGS = (
    "\\s*'hydra/launcher/\\w+' is validated against ConfigStore schema",  # conf/ and the plugins share names
    ".*does not have many workers",
    ".*number of training batches .* is smaller than the logging interval",
    ".*module\\(s\\) in eval mode at the start of training",  # the frozen backbone
    "This property will be removed in 2.0.0. Use `Metric.updated_called`",  # torchmetrics, under TensorBoard's tracer
    ".*torch.jit.trace",  # TensorBoard's model graph
    ".*isinstance\\(treespec, LeafSpec\\)",
)
HIDDEN_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed", "matplotlib")


class ShowableFormatter(logging.Formatter):
    """A formatter whose lines contain no control characters and no bytes that are not text."""

    def format(self, record: logging.LogRecord) -> str:
        return showable(super().format(record), keep="\n\t")


class LogFile(logging.FileHandler):
    """A log file in UTF-8. If it cannot be written to, it stays silent, since the run itself reports that."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", errors="backslashreplace", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def quieten() -> None:
    """Hides what libraries log on every run, for the rest of this process."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for text in HIDDEN_WARNINGS:
        warnings.filterwarnings("ignore", message=text)
    for name in HIDDEN_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        logging.getLogger().setLevel(logging.WARNING)


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the same as `quieten` within a `with` block, for calls from Python; restores the levels afterwards."""
    loggers = [logging.getLogger(name) for name in ("", *HIDDEN_LOGGERS)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        quieten()
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
