"""Projects as tests open them: over two walls, inspected, without a page."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from walls import wall


@pytest.fixture(scope="session")
def walls_inspected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two walls in site/, inspected in project/. Not to be changed."""
    from conftest import compose_into, once

    from crack_lightning.cli.options import options_of
    from crack_lightning.project.project import open_project

    def make(folder: Path) -> None:
        (folder / "site").mkdir(parents=True)
        wall().save(folder / "site/a.png")
        wall(700, 500).save(folder / "site/b.png")
        given = ["engine=folded", f"source={folder / 'site'}"]
        made = open_project(options_of(compose_into(folder / "project", "serve", given)), folder / "project")
        inspect_all(made)
        made.close()

    return once(tmp_path_factory, "walls", make)


def inspect_all(project: Any) -> None:
    """Take in a project's photographs, and inspect those that are not inspected yet."""
    from crack_lightning.project.attention import are_found, find_places
    from crack_lightning.project.site_photographs import load_photographs
    from crack_lightning.runs.inspection.inspecting import inspect_photograph

    load_photographs(project)
    for key, photograph in project.photographs.items():
        if key not in project.inspected:
            project.inspected[key] = inspect_photograph(photograph, project.folder, project.inspection)
        if not are_found(project, key):
            find_places(project, key)


def copy_inspected(walls: Path, target: Path, *names: str) -> None:
    """What was found on these walls, into the project in `target`/project over `target`/site."""
    for name in names:
        folder = shutil.copytree(walls / f"project/photographs/{name}", target / f"project/photographs/{name}")
        facts = folder / "inspection.json"
        facts.write_text(facts.read_text().replace(str(walls / "site"), str(target / "site")))


@pytest.fixture
def project(composed: Callable[..., Any], walls_inspected: Path, tmp_path: Path) -> Callable[..., Any]:
    """Opens the project in tmp_path/project over tmp_path/site; its photographs are inspected."""

    def opened(*overrides: str, inspected: bool = True, anew: bool = False) -> Any:
        from crack_lightning.project.project import open_project
        from crack_lightning.project.site_photographs import load_photographs

        if inspected and not anew and list(overrides) == [source(tmp_path)]:
            copy_inspected(walls_inspected, tmp_path, "a.png", "b.png")
        options, folder = composed("serve", ["engine=folded", *overrides], run="project")
        made = open_project(options, folder)
        (inspect_all if inspected else load_photographs)(made)
        return made

    shutil.copytree(walls_inspected / "site", tmp_path / "site")
    return opened


def source(tmp_path: Path) -> str:
    return f"source={tmp_path / 'site'}"


def keyed(project: Any, name: str = "a.png") -> tuple[str, list[Any]]:
    from crack_lightning.project.shown_cracks import shown_cracks

    key = project.key_of(name)
    return key, shown_cracks(project, key)


def said(project: Any, kind: str, name: str = "a.png", **facts: Any) -> Any:
    from crack_lightning.project.correcting import correct

    return correct(project, {"kind": kind, "photograph": name, **facts})[0]
