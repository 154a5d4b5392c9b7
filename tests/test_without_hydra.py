"""Runs are a library: typed options and a folder are all that they need. The page that says so is run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from crack_lightning.system.option_groups import CONF

PAGE = CONF.parent / "docs/python.md"
# No download, and the network of a test is small.
SMALL = {
    'DataOptions(root="photos"': 'DataOptions(root="photos", image_size=32',
    "figures=False)": "figures=False, model=ModelOptions(weights=None), trainer=TrainerOptions(max_epochs=1))",
    'source="site"': 'source="site", engine="eager"',  # no network exported for two photographs
    "from crack_lightning.training.checkpoints": "from crack_lightning.models.options import ModelOptions\n"
    "from crack_lightning.training.options import TrainerOptions\nfrom crack_lightning.training.checkpoints",
}
FIRST = "from crack_lightning.project import drawn_cells\ndrawn_cells.LESSONS = 16\n"  # as in projects.py
LAST = '\nimport sys\nassert not {"crack_lightning.cli", "hydra"} & set(sys.modules), "Hydra stops at the door"\n'


def test_the_blocks_of_the_python_page_run(surfaces: Path, site: Path, tmp_path: Path) -> None:
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    for written, small in SMALL.items():
        assert written in text
        text = text.replace(written, small)
    (tmp_path / "photos").symlink_to(surfaces)
    (tmp_path / "site").symlink_to(site)
    shutil.copy(next(surfaces.rglob("*.jpg")), tmp_path / "patch.jpg")
    line = [sys.executable, "-W", "ignore", "-c", FIRST + text + LAST]
    environment = {"PYTHONPATH": str(CONF.parent), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert any(line.startswith("2 of 2: wall 1.jpg") for line in result.stdout.splitlines())
    assert Path(tmp_path / result.stdout.splitlines()[-1]).is_file()  # what was handed over
    assert (tmp_path / "bridge/checkpoints/site-1.ckpt").is_file()
    assert (tmp_path / "run/metrics.json").is_file()
    assert (tmp_path / "report/report.html").is_file()
