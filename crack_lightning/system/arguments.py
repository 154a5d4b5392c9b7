"""How an argument of a command is typed: what every hint of every message is made by."""

import re
import shlex
from collections.abc import Mapping, Sequence

PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.+@%-]*", re.ASCII)
WORDS = ("null", "true", "false", "nan", "inf", "infinity")  # that mean something else than their letters


def typed(key: str, value: object) -> str:
    """`key=value` as it is typed in a shell, whatever the value holds; it comes back as that value."""
    return shlex.quote(f"{key}={literal(value)}")


def literal(value: object) -> str:
    """A value as Hydra's grammar has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{literal(each)}' for key, each in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(literal, value))}]"
    return text(str(value))


def text(value: str) -> str:
    """A text as Hydra's grammar has it: in quotes where it would mean something else, or nothing at all, without."""
    if PLAIN.fullmatch(value) and value.lower() not in WORDS and not _is_number(value):
        return value
    # Backslashes count only before a quote, which they escape, and before an interpolation.
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
    return '"' + escaped.replace("${", "\\${") + '"'


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
