"""Where a function of Python writes, what it says of itself there, and whether a progress bar is shown."""

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from crack_lightning import __version__
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import CALL_MARK
from crack_lightning.system.files import check_can_be_made, expanded, write_atomically
from crack_lightning.system.logs import quiet
from crack_lightning.system.progress import showing
from crack_lightning.system.results_owner import check_other_results

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def results_folder(verb: str, out: Any, given: Mapping[str, Any], progress: bool | None) -> Iterator[Path]:
    """Yields the folder of results, `out` or a new one below outputs/ as the command line has it, and writes into it
    what was asked for. Raises OSError where it cannot be made."""
    if out is None:
        out = Path("outputs") / verb / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}"
    if not str(out).strip():
        raise UserError("out is empty: give a folder, or leave it out")
    folder = expanded(str(out)).absolute()
    check_can_be_made(folder)
    check_other_results(folder, verb)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out={folder} cannot be made: {error.strerror}; give another folder") from error
    facts = {"function": verb, "arguments": {key: str(value) for key, value in given.items()}, "version": __version__}
    write_atomically(folder / CALL_MARK / "call.json", json.dumps(facts, indent=2).encode("utf-8", "surrogateescape"))
    with showing(progress), quiet():
        yield folder


def with_keys_of(kind: type, *, without: Sequence[str] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator of a function with `**options`: help() and notebooks show the fields of `kind` with their
    defaults in place of them, which stand in that dataclass alone."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function)
        named = {
            name: parameter
            for name, parameter in own.parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }
        added = [
            _parameter(parameter) for parameter in fields(cast(Any, kind)) if parameter.name not in {*named, *without}
        ]

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(*args, **kwargs)

        call.__signature__ = own.replace(parameters=[*named.values(), *added])  # type: ignore[attr-defined]
        return call

    return decorated


def _parameter(field: Any) -> inspect.Parameter:
    default = field.default
    if default is MISSING:
        made = None if field.default_factory is MISSING else field.default_factory()
        default = None if is_dataclass(made) else made  # a section is given as a name or a mapping
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field.type)
