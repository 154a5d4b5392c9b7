"""What a command or `import` does not load before it has to: each of these libraries takes seconds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "crack_lightning"
# Of torch's compiler, which torchvision alone would import, 1.6 seconds.
SLOW = {"lightning", "tensorboard", "torchmetrics", "torch._dynamo", "sympy"}

# One process for all, since each would load torch anew.
STEPS = """
import sys
def loaded(*names): return sorted(set(names) & set(sys.modules))
import crack_lightning as cl
import crack_lightning.runs.judging.prediction, crack_lightning.runs.inspection.inspecting
assert not loaded(*SLOW), "neither predict nor inspect load what trains"
from crack_lightning.system import vision
import torchvision
module = sys.modules["torchvision.ops.roi_align"]
assert not loaded("torch._dynamo.utils")
from torch._dynamo.utils import is_compile_supported
assert module.is_compile_supported("cpu") == is_compile_supported("cpu"), "what torchvision defers is answered"
assert torchvision.ops.nms is not None
assert set(cl.__all__) <= set(dir(cl))
for name in cl.__all__: getattr(cl, name)
assert not loaded("hydra", "omegaconf"), "Hydra stops at the door"
try: cl.marc
except AttributeError as error: assert "marc" in str(error)
else: raise AssertionError("there is no such name")
"""


def test_an_import_of_the_package_loads_nothing() -> None:
    code = "import sys, crack_lightning; print(*{'torch', 'numpy', 'PIL', 'rich', 'lightning'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert (result.returncode, result.stdout.split()) == (0, [])


@pytest.mark.slow
def test_what_takes_seconds_to_load_is_loaded_when_it_is_needed() -> None:
    line = [sys.executable, "-c", f"SLOW = {sorted(SLOW)}\n{STEPS}"]
    result = subprocess.run(line, cwd=PACKAGE.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_one_module_imports_torchvision() -> None:
    imports = re.compile(r"^\s*(from|import) torchvision", re.MULTILINE)
    files = [path.name for path in sorted(PACKAGE.rglob("*.py")) if imports.search(path.read_text("utf-8"))]
    assert files == ["vision.py"]
