"""Writes the arguments of commands as a user types them in a shell, for hints in messages."""

import re
import shlex
from collections.abc import Mapping, Sequence

PLAIN_TEXT = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.+@%-]*", re.ASCII)
SPECIAL_WORDS = ("null", "true", "false", "nan", "inf", "infinity")  # these are not read as texts


def typed(key: str, value: object) -> str:
    """Returns `key=value`, quoted for a shell, so that Hydra reads exactly this value back."""
    return shlex.quote(f"{key}={literal(value)}")


def literal(value: object) -> str:
    """Returns a value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(literal, value))}]"
    return text(str(value))


def text(value: str) -> str:
    """Returns a text in Hydra's grammar: in quotes if it would mean something else, or be invalid, without them."""
    if PLAIN_TEXT.fullmatch(value) and value.lower() not in SPECIAL_WORDS and not _is_number(value):
        return value
    # A backslash is special only before a quote, which it escapes, and before an interpolation.
    escaped = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + ('\\"' if match[2] else ""), value)
    return '"' + escaped.replace("${", "\\${") + '"'


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
