"""The imports of the house point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
ALLOWED = {
    "data": {"data"},
    "models": {"models", "data"},
    "report": {"report", "models", "data"},
    "training": {"training", "report", "data", "models"},
    "inference": {"inference", "report", "data", "models"},
}
VERBS = {"audit", "cache", "evaluate", "explain", "generate", "inspect", "predict"}
SHELL = {"hydra", "omegaconf"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(below: Path, source: str) -> Iterator[str]:
    """What a file, named by its place below the package, imports that it may not."""
    room = below.parts[0] if len(below.parts) > 1 else None
    for name in imported(source):
        parts = name.split(".")
        if parts[0] == "train" or (parts[0] == "crack_lightning" and parts[1] in VERBS):
            yield f"{name}: nobody imports a command"
        if room is not None and parts[0] in SHELL:
            yield f"{name}: configuration stops at the door"
        if room is not None and parts[0] == "crack_lightning" and parts[1] not in ALLOWED[room]:
            yield f"{name}: not for {room}"
        if room == "inference" and parts[0] == "lightning":
            yield f"{name}: inference does not know that Lightning exists"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_house_allows(path: Path) -> None:
    assert not list(violations(path.relative_to(PACKAGE), path.read_text()))


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("commands.py", "from crack_lightning.evaluate import evaluate"),
        ("resume.py", "import train"),
        ("data/x.py", "from omegaconf import DictConfig"),
        ("data/x.py", "from crack_lightning.models.classifier import CrackClassifier"),
        ("models/x.py", "from crack_lightning.commands import plain"),
        ("report/x.py", "def f():\n    import crack_lightning.training.task"),
        ("inference/x.py", "import lightning.pytorch"),
    ],
)
def test_what_the_house_does_not_allow_is_seen(place: str, source: str) -> None:
    assert list(violations(Path(place), source))


def test_every_room_is_known() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    assert rooms == set(ALLOWED)
    assert {path.stem for path in PACKAGE.glob("*.py") if "    command(" in path.read_text()} == VERBS


def test_no_file_is_called_what_says_nothing() -> None:
    for path in FILES:
        below = path.relative_to(PACKAGE)
        assert not {"utils", "helpers", "common", "core", "components"} & {*below.parts, below.stem}
