"""What a command or `import` does not load before it has to: each of these libraries takes seconds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
# Of torch's compiler, which torchvision alone would import, 1.6 seconds.
SLOW = {"lightning", "tensorboard", "torchmetrics", "torch._dynamo", "sympy"}


def loaded(code: str) -> set[str]:
    """Returns the names of all modules that are loaded after `code` ran in a process of its own."""
    line = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    result = subprocess.run(line, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module",
    ["runs.judging.prediction", "runs.inspection.inspecting"],
)
def test_neither_predict_nor_inspect_load_what_trains(module: str) -> None:
    assert not loaded(f"import crack_lightning.{module}") & SLOW


def test_the_question_that_torchvision_defers_is_answered() -> None:
    code = (
        "from crack_lightning.system import vision\n"
        "import importlib, sys, torchvision\n"
        "module = sys.modules['torchvision.ops.roi_align']\n"
        "assert 'torch._dynamo.utils' not in sys.modules\n"
        "from torch._dynamo.utils import is_compile_supported\n"
        "assert module.is_compile_supported('cpu') == is_compile_supported('cpu')\n"
        "assert torchvision.ops.nms is not None\n"
    )
    assert "torch._dynamo" in loaded(code)


def test_one_module_imports_torchvision() -> None:
    imports = re.compile(r"^\s*(from|import) torchvision", re.MULTILINE)
    files = [path.name for path in sorted(PACKAGE.rglob("*.py")) if imports.search(path.read_text("utf-8"))]
    assert files == ["vision.py"]
