"""Writes arguments of commands as a user types them, for the hints in messages."""

import re
import shlex
from collections.abc import Mapping, Sequence

PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.+@%-]*", re.ASCII)
WORDS = ("null", "true", "false", "nan", "inf", "infinity")  # words that mean something else than their letters


def typed(key: str, value: object) -> str:
    """Returns `key=value` as it is typed in a shell, whatever the value holds; it is read back as that value."""
    return shlex.quote(f"{key}={literal(value)}")


def literal(value: object) -> str:
    """Returns a value as Hydra's grammar has it."""
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
    """Returns a text as Hydra's grammar has it: in quotes where, without, it would mean something else or nothing."""
    if PLAIN.fullmatch(value) and value.lower() not in WORDS and not _is_number(value):
        return value
    # Backslashes count only before a quote, which they escape, and before an interpolation.
    escaped = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + ('\\"' if match[2] else ""), value)
    return '"' + escaped.replace("${", "\\${") + '"'


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
