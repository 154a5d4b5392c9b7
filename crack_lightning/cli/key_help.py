"""What `crack VERB --help` prints: the keys of a command with their defaults and what they mean."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, cast, get_type_hints

from crack_lightning.cli.verbs import VERBS, options_class
from crack_lightning.system.arguments import literal
from crack_lightning.system.option_groups import choices_of, group_names, group_values
from crack_lightning.system.option_keys import SHORT_KEYS, comments_of, section_of

KEY_COLUMNS = 34  # that a key with its default may take, before what it means begins on the next line
LAST_LINES = """\
Results go into out=FOLDER, else into outputs/{name}/<date>/<time>/.
-m runs a key's values one by one (key=a,b); --cfg job prints what would run."""


def help_text(name: str) -> str:
    """Returns the help of a command."""
    verb, kind = VERBS[name], options_class(name)
    columns = max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
    lines = [f"crack {name} {verb.usage}", f"  {verb.does}", ""]
    if verb.places:
        words = ", ".join(f"{place.rpartition('.')[2].upper()} stands for {place}=" for place in verb.places)
        lines += [f"  {words}", ""]
    if name == "train":
        groups = [group for group in group_names() if group not in ("hydra", "callbacks")]
        lines += ["Groups, each replaced as a whole by group=option:", ""]
        lines += [line for group in groups for line in _wrapped(group, " ".join(choices_of(group)), columns)]
        lines += ["", "Keys:", ""]
    comments = comments_of(kind)
    for key, default in _defaults(kind, ""):
        shown = key if default is MISSING else f"{key}={literal(default)}"
        short = next((f"also {short}=; " for short, long in SHORT_KEYS.items() if long == key), "")
        lines += _wrapped(shown, short + comments.get(key, ""), columns)
    return "\n".join([*lines, "", LAST_LINES.format(name=name), ""])


def _wrapped(key: str, meaning: str, columns: int) -> list[str]:
    """Returns a key and its meaning in lines of at most `columns`, the meaning behind the key or below it."""
    parts = textwrap.wrap(meaning, columns - KEY_COLUMNS - 4) or [""]
    if len(key) > KEY_COLUMNS:
        return [f"  {key}", *(f"  {'':{KEY_COLUMNS}}  {part}" for part in parts if part)]
    first, *rest = parts
    return [f"  {key:{KEY_COLUMNS}}  {first}".rstrip(), *(f"  {'':{KEY_COLUMNS}}  {part}" for part in rest)]


def _defaults(kind: type, above: str) -> Iterator[tuple[str, Any]]:
    """Yields all keys of a dataclass with their defaults, MISSING where only the user knows."""
    hints = get_type_hints(kind)
    for field in fields(cast(Any, kind)):
        key, default = f"{above}{field.name}", _default(field)
        section = section_of(hints[field.name])
        if key == "callbacks":
            yield from _flat(key, group_values("callbacks", "default"))
        elif section is not None:
            yield from _defaults(section, f"{key}.")
        elif not (isinstance(default, dict) and key == "logger"):
            yield key, default


def _default(field: Field[Any]) -> Any:
    if field.default_factory is MISSING:
        return field.default
    made = field.default_factory()
    return MISSING if is_dataclass(made) else made


def _flat(above: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the keys of nested values, without the class that they are of."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{above}.{key}", value)
        elif key != "_target_":
            yield f"{above}.{key}", value
