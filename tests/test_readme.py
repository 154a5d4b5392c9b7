"""The README is short, and what it shows is what its commands print."""

import re
import runpy
from pathlib import Path

import pytest

from crack_lightning.system.option_groups import CONF

ROOT = CONF.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 110
    assert len(README.split()) <= 700


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_block_of_python_can_be_compiled(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        lines = [line.removeprefix(">>> ").removeprefix("... ") for line in block.splitlines()]
        prompted = ">>> " in block
        code = [new for new, old in zip(lines, block.splitlines(), strict=True) if not prompted or new != old]
        signature = code[0].startswith("cl.") and "*" in code[0]
        compile("\n".join(code) if not signature else code[0].replace("*,", ""), page.name, "exec")


def alike(shown: str, printed: str) -> bool:
    """Returns whether two texts are the same but for numbers, which may differ by a twentieth: processors round."""
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (shown, printed)]
    return NUMBER.sub("#", shown) == NUMBER.sub("#", printed) and numbers[0] == pytest.approx(numbers[1], rel=0.05)


def test_other_words_are_seen_and_other_numbers_too() -> None:
    assert alike("3 cracks of 1252 mm", "3 cracks of 1260 mm")
    assert not alike("3 cracks of 1252 mm", "4 cracks of 1252 mm")
    assert not alike("3 cracks", "3 lines")


@pytest.mark.slow
def test_the_readme_shows_what_its_commands_print() -> None:
    printed = runpy.run_path(str(ROOT / "docs/make_readme.py"))["page"](README)
    for shown, now in zip(README.splitlines(), printed.splitlines(), strict=True):
        assert alike(shown, now), "run python docs/make_readme.py"
