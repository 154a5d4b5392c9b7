"""The language of the house: a docstring is a sentence, and a variable is called for its thing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
FILES = sorted(PACKAGE.rglob("*.py"))
NOT_VERBS = {"this", "as", "its", "unless", "is", "has", "classes", "pixels", "lines", "lengths", "names"}
# Names that say of nothing what it is.
EMPTY_NAMES = {"found", "each", "told", "said", "taught", "brought", "ours", "laid", "one"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            yield node


def is_sentence(docstring: str) -> bool:
    """Whether the first word is a verb in the third person, as in `Returns`."""
    first = docstring.split()[0]
    return first.isalpha() and first.endswith("s") and first.lower() not in NOT_VERBS


def empty_names(function: Function) -> set[str]:
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return (names | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}) & EMPTY_NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_are_sentences_and_names_say_what_they_hold(path: Path) -> None:
    for function in functions(path.read_text("utf-8")):
        docstring = ast.get_docstring(function)
        assert docstring is None or is_sentence(docstring), f"{function.name}: {docstring}"
        assert not empty_names(function), function.name


def test_a_noun_clause_and_an_empty_name_are_seen() -> None:
    assert not is_sentence("What a user can mend.")
    assert not is_sentence("Raise ValueError.")
    assert is_sentence("Returns the line.")
    (function,) = functions("def f(said):\n    found = [each for each in said]")
    assert empty_names(function) == {"said", "found", "each"}
