"""Options as dataclasses whose fields may be dataclasses themselves: their keys, and how they are made of values.

A key of a section is written `section.key`, on the command line and in Python.
"""

import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

from crack_lightning.errors import UserError

SHORT_KEYS = {"epochs": "trainer.max_epochs"}  # what is typed most, in Python and on the command line


def keys(kind: type, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yields all keys of a dataclass with their types; a section comes before its own keys, as section.key."""
    for name, hint in get_type_hints(kind).items():
        yield f"{above}{name}", hint
        if (section := section_of(hint)) is not None:
            yield from keys(section, f"{above}{name}.")


def section_of(hint: Any) -> type | None:
    """Returns the dataclass that a key of this type holds, or None."""
    return next((part for part in (hint, *get_args(hint)) if isinstance(part, type) and is_dataclass(part)), None)


def near_key(unknown: str, kind: type) -> str:
    """Returns a question for the key that may have been meant, empty where none is near."""
    known = [key for key, _ in keys(kind)]
    last = {key.rpartition(".")[2]: key for key in reversed(known)}
    name = unknown.rpartition(".")[2]
    near = get_close_matches(unknown, known, 1, 0.7)
    near = near or [last[match] for match in get_close_matches(name, last, 1, 0.7)]
    near = near or [last[key] for key in last if key.startswith(name)]
    return f" Did you mean {near[0]}?" if near and near[0] != unknown else ""


def comments_of(kind: type, above: str = "") -> dict[str, str]:
    """Returns what the comments of a dataclass say about its keys, before or behind each, sections included."""
    comments, waiting = dict[str, str](), list[str]()
    for line in (line for base in reversed(kind.__mro__[:-1]) for line in inspect.getsource(base).splitlines()):
        if match := re.match(r"    # (.*)$", line):
            waiting.append(match[1])
            continue
        if match := re.match(r"    (\w+): [^#]*(?:  # (.*))?$", line):
            comments[f"{above}{match[1]}"] = match[2] or " ".join(waiting)
        waiting.clear()
    for name, hint in get_type_hints(kind).items():
        if (section := section_of(hint)) is not None:
            comments |= comments_of(section, f"{above}{name}.")
    return comments


def options_from(kind: type, given: Mapping[str, Any]) -> Any:
    """Returns the dataclass `kind` of values by key, a section's as `section.key` or in a mapping under its name.

    Raises UserError for a key that does not exist, with the near one, for a value of another type, for a key that has
    no default and no value, and as the dataclass does for a value out of range.
    """
    return _made(kind, _nested(given), kind, "")


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values with dotted keys put into mappings under their sections' names."""
    tree: dict[str, Any] = {}
    for key, value in given.items():
        section, dot, rest = key.partition(".")
        if dot:
            below = tree.setdefault(section, {})
            if not isinstance(below, dict):
                raise UserError(f"{key} and {section}={below!r} contradict each other: give one of them")
            below[rest] = value
        elif isinstance(value, Mapping):
            tree[key] = {**dict(value), **tree.get(key, {})}
        else:
            tree[key] = value
    return tree


def _made(whole: type, tree: Mapping[str, Any], kind: type, above: str) -> Any:
    hints = get_type_hints(kind)
    if unknown := next((name for name in tree if name not in hints), None):
        raise UserError(f"there is no key {above}{unknown}.{near_key(f'{above}{unknown}', whole)}")
    values, needed = {}, []
    for field in fields(cast(Any, kind)):
        key, section = f"{above}{field.name}", section_of(hints[field.name])
        value = tree.get(field.name, MISSING)
        if section is not None and (isinstance(value, Mapping) or (value is MISSING and _is_needed(field))):
            values[field.name] = _made(whole, _nested({} if value is MISSING else value), section, f"{key}.")
        elif value is not MISSING:
            values[field.name] = value if is_dataclass(value) else _fitting(key, value, hints[field.name])
        elif _is_needed(field):
            needed.append(key)
    if needed:
        raise UserError(f"{' and '.join(needed)} not set: give {' '.join(f'{key}=...' for key in needed)}")
    return kind(**values)


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _fitting(key: str, value: Any, hint: Any) -> Any:
    """Returns the value as its key has it; one item is a list of one. Raises UserError for one of another type."""
    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if value is None and NoneType in kinds:
        return None
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    (kind,) = [part for part in kinds if part is not NoneType] or [Any]
    items = kind is not Any and getattr(kind, "__origin__", None) is list
    if items:
        (item_kind,) = get_args(kind)
        several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return [_fitting(key, item, item_kind) for item in several]
    if kind is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if kind in (bool, str, int, float) or items:
        names = {bool: "True or False", str: "a text", int: "a whole number", float: "a number"}
        raise UserError(f"{key}={value!r}: {names[kind]} is needed")
    return value
