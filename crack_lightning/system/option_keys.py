"""Lists the keys of option dataclasses, and creates these dataclasses from values by key.

A field that is a dataclass itself is a section; its keys are written `section.key`, on the command line and in Python.
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

TYPE_WORDS: dict[Any, str] = {bool: "true or false", str: "a text", int: "a whole number", float: "a number"}
SHORT_KEYS = {"epochs": "trainer.max_epochs"}  # shorter names of keys, in Python and on the command line


def keys(options_type: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the keys of an options dataclass, after `prefix`, and their types; a section comes before its own keys."""
    for name, hint in get_type_hints(options_type).items():
        yield f"{prefix}{name}", hint
        if (section := section_of(hint)) is not None:
            yield from keys(section, f"{prefix}{name}.")


def section_of(hint: Any) -> type | None:
    """Returns the dataclass in a type hint if the key is a section, else None."""
    return next((part for part in (hint, *get_args(hint)) if isinstance(part, type) and is_dataclass(part)), None)


def near_key(unknown: str, options_type: type) -> str:
    """Returns the question whether a similar key was meant, else the keys of the same section, if there is one."""
    known = [key for key, _ in keys(options_type)]
    known += [short for short, long in SHORT_KEYS.items() if long in known]
    by_last_part = {key.rpartition(".")[2]: key for key in reversed(known)}
    name = unknown.rpartition(".")[2]
    section = unknown.rpartition(".")[0]
    siblings = {key.rpartition(".")[2]: key for key in known if section and key.rpartition(".")[0] == section}
    near = [siblings[match] for match in get_close_matches(name, siblings, 1, 0.7)]
    near = near or ([] if siblings else get_close_matches(unknown, known, 1, 0.7))
    near = near or [by_last_part[match] for match in get_close_matches(name, by_last_part, 1, 0.7)]
    near = near or [by_last_part[key] for key in by_last_part if key.startswith(name)]
    if near and near[0] != unknown:
        return f" Did you mean {near[0]}?"
    return f" {section} has {', '.join(siblings)}." if siblings and name not in siblings else ""


def type_words(hint: Any) -> str:
    """Returns what a key of this type needs, in words; empty for other types."""
    return next((TYPE_WORDS[part] for part in (hint, *get_args(hint)) if part in TYPE_WORDS), "")


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


def options_from(options_type: type, given: Mapping[str, Any]) -> Any:
    """Returns an `options_type` with the values `given` by key; a section's as `section.key` or in a mapping.

    Raises UserError for an unknown key, with a similar one, for a value of the wrong type, for a key without a default
    that is not given, and, from the dataclass itself, for a value out of range.
    """
    return _create(options_type, _nested(given), options_type, "")


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values with dotted keys put into mappings under their sections' names."""
    tree: dict[str, Any] = {}
    for key, value in given.items():
        section, dot, rest = key.partition(".")
        if dot:
            section_values = tree.setdefault(section, {})
            if not isinstance(section_values, dict):
                raise UserError(f"{key} and {section}={section_values!r} contradict each other: give one of them")
            section_values[rest] = value
        elif isinstance(value, Mapping):
            tree[key] = {**dict(value), **tree.get(key, {})}
        else:
            tree[key] = value
    return tree


def _create(root_type: type, tree: Mapping[str, Any], options_type: type, prefix: str) -> Any:
    """Returns an `options_type` with the values in `tree`; its keys begin with `prefix` in the whole `root_type`."""
    hints = get_type_hints(options_type)
    if unknown := next((name for name in tree if name not in hints), None):
        raise UserError(f"there is no key {prefix}{unknown}.{near_key(f'{prefix}{unknown}', root_type)}")
    values, missing = {}, []
    for field in fields(cast(Any, options_type)):
        key, section = f"{prefix}{field.name}", section_of(hints[field.name])
        value = tree.get(field.name, MISSING)
        if section is not None and (isinstance(value, Mapping) or (value is MISSING and _is_required(field))):
            values[field.name] = _create(root_type, _nested({} if value is MISSING else value), section, f"{key}.")
        elif value is not MISSING:
            values[field.name] = value if is_dataclass(value) else _converted(key, value, hints[field.name])
        elif _is_required(field):
            missing.append(key)
    if missing:
        raise UserError(f"{' and '.join(missing)} not set: give {' '.join(f'{key}=...' for key in missing)}")
    return options_type(**values)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _converted(key: str, value: Any, hint: Any) -> Any:
    """Returns `value` converted to the type `hint` of its key; a single item becomes a list of one.

    Raises UserError for a value of the wrong type.
    """
    types = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if value is None and NoneType in types:
        return None
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    (wanted,) = [part for part in types if part is not NoneType] or [Any]
    is_list = wanted is not Any and getattr(wanted, "__origin__", None) is list
    if is_list:
        (item_type,) = get_args(wanted)
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return [_converted(key, item, item_type) for item in items]
    if wanted is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if wanted is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if wanted in (bool, str) and isinstance(value, wanted):
        return value
    if wanted in (bool, str, int, float):
        raise UserError(f"{key}={value!r}: {TYPE_WORDS[wanted]} is needed")
    return value
