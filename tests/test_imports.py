"""The imports of the house point one way."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
ALLOWED = {
    "data": {"data"},
    "models": {"models"},
    "report": {"report"},
    "training": {"training", "report", "data", "models"},
    "inference": {"inference", "report", "data", "models"},
}
SHELL = {"hydra", "omegaconf"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_house_allows(path: Path) -> None:
    folder = path.relative_to(PACKAGE).parts[0]
    if folder not in ALLOWED:
        return
    for name in imported(path):
        parts = name.split(".")
        assert parts[0] not in SHELL, f"{path}: configuration stops at the door"
        assert parts[0] != "train", f"{path}: nobody imports a command"
        if parts[0] == "crack_lightning":
            assert parts[1] in ALLOWED[folder], f"{path} imports {name}"


def test_inference_does_not_know_that_lightning_exists() -> None:
    for path in (PACKAGE / "inference").rglob("*.py"):
        assert not any(name.split(".")[0] == "lightning" for name in imported(path))


def test_nobody_imports_a_command() -> None:
    verbs = {path.stem for path in PACKAGE.glob("*.py") if "command(" in path.read_text()} - {"commands"}
    assert {"evaluate", "generate"} <= verbs
    for path in FILES:
        for name in imported(path):
            assert not any(name.startswith(f"crack_lightning.{verb}") for verb in verbs), f"{path} imports {name}"


def test_no_folder_is_called_what_says_nothing() -> None:
    for path in FILES:
        assert not {"utils", "helpers", "common", "core", "components"} & {*path.parts, path.stem}
