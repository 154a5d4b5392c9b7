"""The house: imports point one way, and every file stands in a room that is known."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
# From the street to the cellar: a room imports from the floors below its own, and never from a room beside it.
FLOORS = (
    ("cli",),
    ("page",),
    ("runs",),
    ("training", "inference"),
    ("features", "report", "corrections"),
    ("engines", "evaluation", "measurement"),
    ("data", "models"),
    ("system",),
    ("errors",),
)
DATA_FLOORS = (("batches", "audit"), ("options",), ("samples",), ("copies",), ("images", "synthetic"))
VERBS = {"__main__"}
SHELL = {"hydra", "omegaconf"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(room: str, floors: tuple[tuple[str, ...], ...]) -> int:
    return next(number for number, rooms in enumerate(floors) if room in rooms)


def may(own: str, other: str, floors: tuple[tuple[str, ...], ...]) -> bool:
    """Whether room `own` may import from room `other`."""
    return own == other or floor_of(own, floors) < floor_of(other, floors)


def violations(below: Path, source: str) -> Iterator[str]:
    """What a file, named by its place below the package, imports that it may not."""
    room = below.with_suffix("").parts[0]
    verb = len(below.parts) == 1 and room in VERBS
    for name in imported(source):
        parts = name.split(".")
        if parts[0] in SHELL and room != "cli" and not verb:
            yield f"{name}: configuration stops at the door"
        if room == "inference" and parts[0] == "lightning":
            yield f"{name}: inference does not know that Lightning exists"
        if parts[0] == "train" or (parts[0] == "crack_lightning" and parts[1] in VERBS):
            yield f"{name}: nobody imports a command"
        elif parts[0] == "crack_lightning" and parts[1] != "__version__" and not verb:
            if not may(room, parts[1], FLOORS):
                yield f"{name}: not for {room}"
            elif room == parts[1] == "data" and len(below.parts) > 2 and not may(below.parts[1], parts[2], DATA_FLOORS):
                yield f"{name}: not for data/{below.parts[1]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_house_allows(path: Path) -> None:
    below = path.relative_to(PACKAGE)
    if below != Path("__init__.py"):
        assert not list(violations(below, path.read_text()))


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("cli/x.py", "from crack_lightning.__main__ import perform"),
        ("cli/x.py", "import train"),
        ("runs/x.py", "from hydra.utils import instantiate"),
        ("runs/x.py", "from crack_lightning.cli.options import TrainOptions"),
        ("training/x.py", "from crack_lightning.inference.patches import judge_files"),
        ("inference/x.py", "import lightning.pytorch"),
        ("features/x.py", "from crack_lightning.report.figures import roc_figure"),
        ("report/x.py", "def f():\n    import crack_lightning.training.task"),
        ("engines/x.py", "from crack_lightning.evaluation.metrics import binary_metrics"),
        ("evaluation/x.py", "from crack_lightning.report import figures"),
        ("models/x.py", "from crack_lightning.data.images.reading import read_image"),
        ("data/images/x.py", "from crack_lightning.data.copies.facts import read_facts"),
        ("data/audit/x.py", "from crack_lightning.data.batches.loading import check_loading"),
        ("data/synthetic/x.py", "from crack_lightning.data.images.reading import read_image"),
        ("system/x.py", "from crack_lightning.data.images.formats import is_image_name"),
    ],
)
def test_a_violation_planted_in_any_room_is_seen(place: str, source: str) -> None:
    assert list(violations(Path(place), source))


def test_every_room_is_known() -> None:
    folders = {path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert folders == {room for rooms in FLOORS for room in rooms} - {"errors"}
    assert modules <= VERBS | {"__init__", "errors"}
    data = {
        path.relative_to(PACKAGE / "data").with_suffix("").parts[0]
        for path in FILES
        if "data" in path.relative_to(PACKAGE).parts[:1]
    }
    assert data - {"__init__"} == {room for rooms in DATA_FLOORS for room in rooms}


def test_no_file_is_called_what_says_nothing() -> None:
    for path in FILES:
        below = path.relative_to(PACKAGE)
        assert not {"utils", "helpers", "common", "core", "components"} & {*below.parts, below.stem}
