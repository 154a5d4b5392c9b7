"""Imports optional libraries when they are first used."""

from importlib import import_module
from typing import Any

from crack_lightning.errors import MissingPackage, UserError

OPENCV_HINT = "this needs OpenCV: pip install opencv-python-headless"


def library(name: str, missing: str) -> Any:
    """Returns the module `name`.

    Raises MissingPackage with the message `missing`, which has a pip line, if it is not installed. Raises UserError
    with the reason if it is installed but cannot be imported, since installing it again would not help.
    """
    try:
        return import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or name).partition(".")[0] == name.partition(".")[0]:
            raise MissingPackage(missing) from error
        raise UserError(f"{name.partition('.')[0]} is installed and cannot be imported: {error}") from error


def opencv() -> Any:
    """Returns the module cv2. Raises as `library`."""
    return library("cv2", OPENCV_HINT)
