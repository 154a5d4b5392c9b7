"""The house: imports point one way and never in a circle, and every file stands in a room that is known."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
Floors = tuple[tuple[str, ...], ...]
# From the street to the cellar: a room imports from the floors below its own, and never from a room beside it.
FLOORS: Floors = (
    ("__main__",),
    ("cli", "api"),
    ("page",),
    ("project",),
    ("runs",),
    ("training", "inference"),
    ("features", "report", "corrections"),
    ("engines", "evaluation", "measurement"),
    ("data", "models"),
    ("system",),
    ("errors",),
)
# The rooms within a room: of `runs` what may be imported from beside it, of `data` in floors again.
BESIDE = {"exporting": {"inspection"}, "comparison": {"inspection"}, "training": {"judging"}}
DATA_FLOORS: Floors = (("batches", "audit"), ("options",), ("samples",), ("copies",), ("images", "synthetic"))
SHELL = {"hydra", "omegaconf"}
FILES = sorted(PACKAGE.rglob("*.py"))
LARGEST = 0.15  # share of the package that a room may hold; of runs and data each of their rooms
EMPTY_NAMES = {"utils", "helpers", "common", "core", "components"}


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(room: str, floors: Floors) -> int:
    return next(number for number, rooms in enumerate(floors) if room in rooms)


def may(own: str, other: str, floors: Floors) -> bool:
    """Whether room `own` may import from room `other`."""
    return own == other or floor_of(own, floors) < floor_of(other, floors)


def may_within(room: str, own: str, other: str) -> bool:
    """Whether of the rooms within `room` one may import from another."""
    if room == "data":
        return may(own, other, DATA_FLOORS)
    return room != "runs" or own == other or other in BESIDE.get(own, set())


def violations(below: Path, source: str) -> Iterator[str]:
    """What a file, named by its place below the package, imports that it may not."""
    place = below.with_suffix("").parts
    room = place[0]
    for name in imported(source):
        parts = name.split(".")
        if parts[0] in SHELL and room != "cli":
            yield f"{name}: configuration stops at the door"
        if room == "inference" and parts[0] == "lightning":
            yield f"{name}: inference does not know that Lightning exists"
        if parts[0] == "train" or parts[:2] == ["crack_lightning", "__main__"]:
            yield f"{name}: nobody imports a command"
        elif parts[0] == "crack_lightning" and parts[1] != "__version__":
            if not may(room, parts[1], FLOORS):
                yield f"{name}: not for {room}"
            elif room == parts[1] and len(place) > 2 and not may_within(room, place[1], parts[2]):
                yield f"{name}: not for {room}/{place[1]}"


def graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Which modules each module imports, imports within functions included."""
    found = {}
    for module, source in sources.items():
        names = set(imported(source))
        found[module] = {name for name in (*names, *(each.rpartition(".")[0] for each in names)) if name in sources}
    return {module: names - {module, "crack_lightning"} for module, names in found.items()}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_house_allows(path: Path) -> None:
    below = path.relative_to(PACKAGE)
    if below != Path("__init__.py"):
        assert not list(violations(below, path.read_text()))


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("cli/x.py", "from crack_lightning.__main__ import main"),
        ("cli/x.py", "import train"),
        ("runs/judging/x.py", "from hydra.utils import instantiate"),
        ("runs/judging/x.py", "from crack_lightning.cli.options import TrainOptions"),
        ("runs/inspection/x.py", "from crack_lightning.project.project import Project"),
        ("runs/inspection/x.py", "from crack_lightning.runs.judging.run_files import write_metrics"),
        ("runs/judging/x.py", "from crack_lightning.runs.training.card import write_card"),
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


def test_no_file_imports_in_a_circle() -> None:
    tuple(TopologicalSorter(graph({module_of(path): path.read_text() for path in FILES})).static_order())


def test_a_circle_within_a_function_is_seen() -> None:
    sources = {
        "crack_lightning.system.a": "from crack_lightning.system import b",
        "crack_lightning.system.b": "from crack_lightning.system.c import d",
        "crack_lightning.system.c": "def f():\n    from crack_lightning.system.a import e",
    }
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(graph(sources)).static_order())


def test_every_room_is_known() -> None:
    folders = {path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert folders | modules - {"__init__"} == {room for rooms in FLOORS for room in rooms}
    within = {path.relative_to(PACKAGE / "data").parts[0] for path in FILES if PACKAGE / "data" in path.parents}
    assert {name.removesuffix(".py") for name in within} - {"__init__"} == {
        room for rooms in DATA_FLOORS for room in rooms
    }


def test_no_room_is_the_new_root() -> None:
    lines = Counter[str]()
    for path in FILES:
        parts = path.relative_to(PACKAGE).parts
        lines["/".join(parts[:2] if parts[0] in ("runs", "data") else parts[:1])] += len(path.read_text().splitlines())
    total = sum(lines.values())
    assert {room: count for room, count in lines.items() if count > LARGEST * total} == {}


def test_a_name_stands_once() -> None:
    files = Counter(path.stem for path in FILES if path.stem not in ("__init__", "options"))  # of options the room says
    assert [name for name, count in files.items() if count > 1] == []
    assert files.keys() & (EMPTY_NAMES | sys.stdlib_module_names) == set()
    nodes = [node for path in FILES for node in ast.walk(ast.parse(path.read_text()))]
    classes = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
    assert [name for name, count in classes.items() if count > 1] == []


def pictures_opened(source: str) -> Iterator[ast.Call]:
    """Calls of Image.open that say of no format which it is."""
    for node in ast.walk(ast.parse(source)):
        call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "open"
        if call and ast.unparse(node.func) == "Image.open" and not any(each.arg == "formats" for each in node.keywords):
            yield node


def test_there_is_one_reader_of_pictures() -> None:
    """Pillow hands a file that says it is PostScript to another program, whatever its name."""
    assert len(list(pictures_opened("Image.open(path)\nImage.open(path, formats=['JPEG'])"))) == 1
    opening = [str(path.relative_to(PACKAGE)) for path in FILES if list(pictures_opened(path.read_text("utf-8")))]
    assert opening == []
    assert not [path for path in FILES if "imread" in path.read_text("utf-8")]
