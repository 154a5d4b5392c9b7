"""What is released: one version, a wheel and an sdist with everything, which work from an empty folder."""

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import crack_lightning as cl
from crack_lightning.system.option_groups import CONF

ROOT = CONF.parent
THREE_LINES = (
    "import crack_lightning as cl\n"
    "marked = cl.mark('walls/Positive/000001.jpg', mm_per_px=0.3)\n"
    "print(len(marked.cracks), marked.cracks[0].length_mm > 0, cl.__file__)\n"
)


def shipped() -> set[str]:
    """Returns the names that a wheel has to hold: the files of the package and of conf/ that git knows."""
    line = ["git", "ls-files", "crack_lightning", "conf"]
    names = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return {re.sub(r"^conf/", "crack_lightning/conf/", name) for name in names}


def test_the_version_stands_once() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == cl.__version__
    assert re.findall(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0] == cl.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.slow
def test_a_wheel_and_an_sdist_work_from_an_empty_folder(tmp_path: Path) -> None:
    built = tmp_path / "built"
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(ROOT)]
    subprocess.run(line, check=True, capture_output=True)  # the sdist, and of that the wheel
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert shipped() - held == set()
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "conf/train.yaml"} <= names

    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    site = next((tmp_path / "venv/lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:  # as pip unpacks it
        archive.extractall(site)
    dependencies = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "dependencies.pth").write_text(f"{dependencies}\n")  # without what is installed there as editable
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*words: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        result = subprocess.run([python, *words], cwd=empty, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    run("-m", "crack_lightning", "generate", "walls", "count=2", "size_px=400")
    run("-m", "crack_lightning", "inspect", "walls", "out=report")
    assert (empty / "report/report.html").is_file()
    assert run("-c", THREE_LINES).split() == ["1", "True", str(site / "crack_lightning/__init__.py")]
