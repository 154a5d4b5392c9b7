"""python docs/make_python.py: writes docs/python.md from the docstrings of the public names; a test holds it equal."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import crack_lightning as cl

PAGE = Path(__file__).with_name("python.md")
# What a user wants to do, with the names for it.
PARTS = {
    "Mark a photograph": ("mark", "Marked", "MarkedCrack"),
    "Inspect many photographs, and compare": ("inspect", "InspectionRun", "compare", "ComparisonRun"),
    "Train": ("train", "TrainingRun"),
    "Open a checkpoint and predict": ("load", "Model", "predict", "Prediction"),
    "Judge": ("evaluate", "EvaluationRun"),
    "Export": ("export", "ExportRun"),
    "Look at data, and draw some": ("audit", "AuditRun", "generate"),
    "Mistakes": ("UserError",),
}
HEAD = """# Python

*Written by `python docs/make_python.py` from the docstrings; a test holds it equal and runs the examples in order.*

`import crack_lightning as cl` takes a few milliseconds: names load what they need when they are used. The names on this
page are public; every other module may change between versions. Arguments beyond the first are given by name, and are
the keys of [the command line](keys.md), with the same defaults, checks and messages. A key of a section is given in a
mapping, `data={"image_size": 224}`, or by its whole name, `**{"data.image_size": 224}`. What a function returns prints
as one line, shows itself in a notebook, and has tables as lists of dicts, which `pandas.DataFrame(...)` takes. Progress
bars are shown in terminals, and in notebooks with `pip install ipywidgets`; `progress=True` or `False` decides.
"""


def page() -> str:
    """Returns the whole page."""
    if sorted(name for names in PARTS.values() for name in names) != sorted(cl.__all__):
        raise SystemExit("PARTS has other names than crack_lightning.__all__")
    parts = [HEAD]
    for title, names in PARTS.items():
        parts.append(f"## {title}\n")
        parts += [text for name in names for text in _described(name, getattr(cl, name))]
    return "\n".join(parts).rstrip() + "\n"


def _described(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing):
        yield f"### {name}\n"
        yield _prose(thing)
        if is_dataclass(thing):
            shown = [field.name for field in fields(thing) if not field.name.startswith("_")]
            yield f"Fields: {', '.join(f'`{each}`' for each in shown)}\n"
        yield from _members(thing)
        return
    yield f"### {name}\n"
    yield f"```python\n{_signature(name, thing)}\n```\n"
    yield _prose(thing)


def _signature(name: str, function: Any) -> str:
    """Returns the call with the function's own parameters, and where its further keys stand."""
    own = inspect.signature(inspect.unwrap(function)).parameters.values()
    words, named = list[str](), False
    for each in own:
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if each.kind is inspect.Parameter.KEYWORD_ONLY and not named:
            words, named = [*words, "*"], True
        words.append(each.name if each.default is inspect.Parameter.empty else f"{each.name}={each.default!r}")
    shown = inspect.signature(function).parameters
    further = [key for key in shown if key not in {each.name for each in own}]
    comment = f"  # further keys: {', '.join(further)}" if further else ""
    return _folded(f"cl.{name}({', '.join(words)}){comment}".replace("'", '"'))


def _folded(line: str, most: int = 118) -> str:
    """Returns a line with its comment in lines of its own where it is too long."""
    code, _, comment = line.partition("  # ")
    lines, current = [code], "#"
    for word in comment.split():
        if len(current) + 1 + len(word) > most:
            lines.append(current)
            current = "#"
        current += f" {word}"
    return "\n".join([*lines, *([current] if comment else [])])


def _prose(thing: Any) -> str:
    """Returns a docstring with its examples as blocks."""
    text = inspect.getdoc(thing) or ""
    parts = re.split(r"((?:^>>> .*\n?(?:^(?!>>> |$).*\n?)*)+)", text, flags=re.MULTILINE)
    return "\n".join(
        f"```python\n{part.strip()}\n```\n" if part.startswith(">>> ") else f"{part.strip()}\n"
        for part in parts
        if part.strip()
    )


def _members(kind: Any) -> Iterator[str]:
    """Yields the methods and properties of a class that are its own, with their first paragraph."""
    for name, member in vars(kind).items():
        function = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not callable(function) or not inspect.getdoc(function):
            continue
        first = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
        yield f"- `.{name}{'' if isinstance(member, property) else '()'}`: {first[0].lower()}{first[1:]}"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
