"""Log lines that can be shown whatever names they hold, in a file that may be on a full disk."""

import logging

from crack_lightning.system.names import showable


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
