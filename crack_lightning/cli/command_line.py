"""The arguments of a command as the shell hands them over: paths and names need no second quoting for Hydra."""

import os
import re
import sys
import typing
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from crack_lightning.errors import UserError
from crack_lightning.system.arguments import text
from crack_lightning.system.libraries import library
from crack_lightning.system.names import showable
from crack_lightning.system.option_keys import keys

# Keys of Hydra's own that hold a folder.
FOLDER_KEYS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
# These, and several formats, may hold a comma; in other texts it is a sweep for which -m was forgotten.
PATHS = ("root", "labels", "source", "ckpt_path", "out", "cache_dir", "split_csv", "weights", "group_by", "dir")
WITH_COMMAS = (*PATHS, "format")
LIST_KEYS = ("width_classes", "crack_label")  # which may be lists
DECIMAL_COMMA = re.compile(r"(-?\d+),(\d+)")
MULTIRUN_FLAGS = {"-m", "--multirun"}
RESOLVER = re.compile(r"\$\{[^}]*:")  # a value of the environment, say; a folder may well be called ${x}
# Of a launcher, what has to be installed and the extra that brings it.
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "sweep"),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "ray": ("hydra_plugins.hydra_ray_launcher", "ray"),
}


def as_given(arguments: Sequence[str], schema: type) -> list[str]:
    """Returns the arguments in Hydra's grammar: texts mean what their letters say, whatever letters these are.

    `schema` is the dataclass of the command's configuration. What is quoted for Hydra already, or a sweep, stays.

    Raises ValueError for an argument whose bytes are no text.
    """
    kinds, many = {key: _kind(hint) for key, hint in keys(schema)}, bool(MULTIRUN_FLAGS & set(arguments))
    parser = OverridesParser.create()
    return [_in_grammar(argument, kinds, parser, many=many) for argument in arguments]


def _kind(hint: Any) -> str:
    """Returns whether a key of this type holds a text, a list of texts, another list, a number, or anything."""
    kinds: dict[Any, str] = {str: "text", list[str]: "texts", list[float]: "list", float: "number", Any: "any"}
    return next((kinds[part] for part in (hint, *typing.get_args(hint)) if part in kinds), "")


def _in_grammar(argument: str, kinds: dict[str, str], parser: OverridesParser, *, many: bool) -> str:
    key, equals, value = argument.partition("=")
    if argument.startswith("-") or not equals:
        return argument
    if showable(argument) != argument and "\\x" in showable(argument):
        if sys.getfilesystemencoding() != "utf-8":
            raise UserError(f"{showable(argument)}: this locale knows ASCII alone; set PYTHONUTF8=1")
        raise UserError(f"{showable(argument)}: its bytes are not UTF-8; rename it, or give a link to it")
    kind = "text" if key in FOLDER_KEYS else kinds.get(key.lstrip("+"), "")
    if not many and kind in ("number", "list", "any") and (number := DECIMAL_COMMA.fullmatch(value)):
        raise UserError(
            f"{argument}: a decimal has a point: write {key}={number[1]}.{number[2]} (several values need -m)"
        )
    is_list = kind in ("texts", "list") or (key.rpartition(".")[2] in LIST_KEYS and "," in value)
    if not many and is_list and value not in ("", "null", "???") and value[0] not in "[$'\"":
        argument, value = f"{key}=[{value}]", f"[{value}]"
    parsed = _parsed(parser, argument)
    literal_path = key not in FOLDER_KEYS and _is_path(key) and RESOLVER.search(value) is None
    stands_for = "${" in value and not literal_path
    if value in ("", "null", "???") or stands_for or (parsed and _is_quoted(value)):
        return argument
    if kind == "text":
        return f"{key}={_text(key, value, parsed, many=many)}"
    if kind == "texts" and value.startswith("["):
        return f"{key}={_quoted(value) if parsed is None or not parsed.is_sweep_override() else value}"
    return argument if parsed else _repaired(parser, argument)


def _text(key: str, value: str, parsed: Override | None, *, many: bool) -> str:
    path = _is_path(key)
    if parsed is not None and parsed.is_sweep_override() and (many or not path):
        return value
    if many and "," in value and not path:
        return ",".join(map(text, value.split(",")))
    return text(value)


def _is_path(key: str) -> bool:
    return key.rpartition(".")[2] in WITH_COMMAS


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def _parsed(parser: OverridesParser, argument: str) -> Override | None:
    try:
        return parser.parse_override(argument)
    except HydraException:
        return None


def _repaired(parser: OverridesParser, argument: str) -> str:
    """Returns an argument that is not in Hydra's grammar with its texts quoted, unchanged where that does not help."""
    key, _, value = argument.partition("=")
    brackets = value[:1] + value[-1:]
    quoted = _quoted(value) if brackets in ("[]", "{}") else text(value)
    return f"{key}={quoted}" if _parsed(parser, f"{key}={quoted}") else argument


def _quoted(value: str) -> str:
    """Returns a list or mapping with each text in it quoted where it needs to be."""
    parts = re.findall(r"""(?:"(?:\\.|[^"])*"|'(?:\\.|[^'])*'|[^,"'])+""", value[1:-1])
    elements = []
    for part in parts:
        name, colon, rest = part.partition(":") if value[0] == "{" else ("", "", part)
        element = rest.strip()
        plain = _is_quoted(element) or element[:1] in ("[", "{") or element == "null"
        elements.append(f"{name}{colon}{element if plain else text(element)}")
    return f"{value[0]}{','.join(elements)}{value[-1]}"


def check_launcher(arguments: Sequence[str]) -> None:
    """Raises UserError for a launcher that is unknown, with the near name, or not installed, with its pip line."""
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra/launcher=")]
    if not given or given[-1] == "basic":
        return
    name = given[-1]
    if name not in LAUNCHERS:
        near = get_close_matches(name, LAUNCHERS, 1)
        hint = f"did you mean hydra/launcher={near[0]}? " if near else ""
        raise UserError(f"hydra/launcher={name}: no such launcher. {hint}There are basic, {', '.join(LAUNCHERS)}")
    package, extra = LAUNCHERS[name]
    library(package, f'hydra/launcher={name} is not installed: pip install -e ".[{extra}]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ray reports its use to a host on the Internet
