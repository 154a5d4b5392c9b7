"""Errors as a user reads them: one message, with the remedy."""

import re
from pathlib import Path

from hydra.errors import ConfigCompositionException, HydraException, OverrideParseException
from omegaconf.errors import GrammarParseError, InterpolationResolutionError

from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import full_message, is_full
from crack_lightning.system.option_keys import keys, near_key, section_of, type_words

# Raised by libraries, with a text meant for the user.
WRITTEN_FOR_USERS = ("MisconfigurationException", "MlflowException")


def is_for_user(error: BaseException) -> bool:
    """Returns whether an error is a message of ours, or of the system about a file, rather than a bug."""
    return (
        isinstance(error, UserError | OSError | HydraException | InterpolationResolutionError | GrammarParseError)
        or type(error).__name__ in WRITTEN_FOR_USERS
    )


def message(error: Exception, schema: type | None = None, *, folder: Path | None = None) -> str:
    """Returns the text to show: for a loading process the last line, for a full disk the folder and remedy.

    `schema` is the configuration that keys are looked for in, `folder` the one that is written to.
    """
    if str(error).startswith("Caught UserError in DataLoader worker"):
        return str(error).strip().splitlines()[-1].partition("UserError: ")[2]
    if isinstance(error, OSError) and is_full(error):
        known = error.strerror and "no room is left" in error.strerror
        place = Path(error.filename).absolute().parent if error.filename else folder or Path.cwd()
        return str(error.strerror) if known else full_message(place)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename} cannot be read or written: {error.strerror}"
    if isinstance(error, InterpolationResolutionError | GrammarParseError):
        return f"{str(error).splitlines()[0]} (a text with ${{ is quoted and has a backslash before it)"
    if isinstance(error, OverrideParseException):
        key, _, value = str(error.override).partition("=")
        return f"{error.override}: not in the grammar of arguments; a text is quoted as in {typed(key, value)}"
    if isinstance(error, ConfigCompositionException):
        return _composition(error, schema)
    return str(error)


def _composition(error: Exception, schema: type | None) -> str:
    """Returns Hydra's words on a configuration, with the near key for one that there is none of."""
    words = " ".join(f"{error} {error.__cause__ or ''}".split("\n")[:4])
    if schema is not None and (merged := re.match(r"Error merging override (\S+?)=(.*?) Value ", words)) is not None:
        kind = type_words(dict(keys(schema)).get(merged[1]))
        return f"{merged[1]}={merged[2]}: {kind} is needed" if kind else words
    if schema is None or (unknown := re.search(r"Could not override '([^']+)'", words)) is None:
        return words
    if not any(unknown[1].startswith(f"{key}.") and section_of(hint) is None for key, hint in keys(schema)):
        return f"{unknown[1]}: there is no such key.{near_key(unknown[1], schema) or ' --help lists all keys.'}"
    return words + near_key(unknown[1], schema)
