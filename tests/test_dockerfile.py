"""The image: what its recipe takes, who runs in it, and how its words become a command."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import pytest

from crack_lightning.system.option_groups import CONF

ROOT = CONF.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SCRIPTS = sorted(PROJECT["project"]["scripts"])


def instructions() -> list[tuple[str, str]]:
    """The words of the recipe with what stands behind them; a backslash at the end goes on with the next line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not re.match(r"\s*#", line)]
    whole = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.strip().partition(" ") for line in whole.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def of(word: str) -> list[str]:
    return [rest for each, rest in instructions() if each == word]


def copied() -> list[str]:
    """What is taken from the checkout, other than from another stage."""
    words = [rest.split() for rest in of("COPY") if not rest.startswith("--from")]
    return [source for each in words for source in each[:-1] if not source.startswith("--")]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: it or a folder above it, the last line that speaks of it counts."""
    found = False
    tried = [str(each) for each in (PurePosixPath(path), *PurePosixPath(path).parents)]
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern = line.removeprefix("!").removeprefix("**/")
        names = [each.rpartition("/")[2] for each in tried] if "**/" in line else tried
        if any(fnmatchcase(name, pattern) for name in names):
            found = not line.startswith("!")
    return found


def test_the_recipe_is_read_over_continued_lines() -> None:
    assert [word for word, _ in instructions()][:3] == ["ARG", "FROM", "ARG"]
    assert {word for word, _ in instructions()} <= {
        *("ARG", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "EXPOSE", "ENTRYPOINT", "CMD")
    }


def test_everything_that_is_copied_is_there() -> None:
    assert copied()
    assert [source for source in copied() if not (ROOT / source).exists()] == []


def test_nothing_that_is_copied_is_ignored() -> None:
    assert ignored("tests/test_dockerfile.py")
    assert ignored("crack_lightning/cli/__pycache__")
    assert [source for source in copied() if ignored(source)] == []
    assert [path for path in files_of_packages() if ignored(path)] == []


def files_of_packages() -> list[str]:
    found = [
        path.relative_to(ROOT).as_posix() for part in ("conf", "crack_lightning") for path in (ROOT / part).rglob("*")
    ]
    return [path for path in found if "__pycache__" not in path]


def test_everything_that_a_wheel_needs_is_copied() -> None:
    project, setuptools = PROJECT["project"], PROJECT["tool"]["setuptools"]
    folders = {setuptools["package-dir"].get(name, name.partition(".")[0]) for name in setuptools["packages"]}
    assert {"pyproject.toml", project["readme"], *project["license-files"], *folders} <= set(copied())


def test_the_image_does_not_run_as_root() -> None:
    user = of("USER")[-1].partition(":")[0]
    assert user not in ("root", "0")
    # Kubernetes' runAsNonRoot cannot tell of a name whether it is root.
    assert user.isdigit()


def test_extras_of_the_image_are_those_of_the_project() -> None:
    (extras,) = re.findall(r'"/src\[([\w,]+)\]"', " ".join(of("RUN")))
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


def test_the_image_begins_with_the_command() -> None:
    assert json.loads(of("ENTRYPOINT")[-1]) == SCRIPTS == ["crack"]


def builder() -> list[str]:
    """The command that builds an image here; without one the test is skipped, and says why.

    CRACK_LIGHTNING_BUILD holds further options, such as --build-arg BASE=IMAGE where the recipe's own is not reached.
    """
    options = shlex.split(os.environ.get("CRACK_LIGHTNING_BUILD", ""))
    bases = [rest for rest in (*of("ARG"), *options) if rest.startswith("BASE=")]
    base = bases[-1].partition("=")[2]
    asked = {"docker": ["docker", "image", "inspect", base], "buildah": ["buildah", "inspect", "--type", "image", base]}
    there = [name for name in asked if shutil.which(name)]
    for name in there:
        if subprocess.run(asked[name], capture_output=True).returncode == 0:
            return [name, "build", *options]
    pytest.skip(f"{' and '.join(there) or 'neither docker nor buildah'}: no {base} at hand, or no daemon")


@pytest.mark.slow
def test_the_image_builds() -> None:
    words = [*builder(), "--tag", "crack_lightning:tested", str(ROOT)]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
