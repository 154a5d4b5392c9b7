"""The page of Python is written from the docstrings, and what it says is true: its examples run, without Hydra."""

import doctest
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from walls import wall

import crack_lightning as cl
from crack_lightning.system.option_groups import CONF

DOCS = CONF.parent / "docs"


def test_the_page_of_python_is_what_the_script_writes() -> None:
    written = runpy.run_path(str(DOCS / "make_python.py"))["page"]()
    assert (DOCS / "python.md").read_text("utf-8") == written, "run python docs/make_python.py"


@pytest.mark.slow
def test_the_examples_of_the_page_run(
    surfaces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patches").symlink_to(surfaces)
    (tmp_path / "bridge").mkdir()
    for crack in (True, False):
        wall(crack=crack).save(tmp_path / f"bridge/{crack}.png")
    shutil.copy(next((surfaces / "Positive").rglob("*.jpg")), tmp_path / "patch.jpg")
    wall().save(tmp_path / "wall.jpg")
    text = (DOCS / "python.md").read_text("utf-8").replace("```", "\n")
    example = doctest.DocTestParser().get_doctest(text, {"cl": cl}, "python.md", "python.md", 0)
    before = set(sys.modules)
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False).run(example, clear_globs=False).failed
    assert failed == 0, capsys.readouterr().out
    assert len(example.examples) > 20
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] in ("hydra", "omegaconf")}
    for file in ("marked/cracks_coco.json", "report/report.html", "run/model_card.md", "judged/predictions.csv"):
        assert (tmp_path / file).is_file(), file
