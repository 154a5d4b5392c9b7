"""Projects as tests open them: over two walls, inspected, without a page."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from walls import wall


@pytest.fixture
def project(composed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Opens the project in tmp_path/project over tmp_path/site; its photographs are inspected."""
    monkeypatch.setattr("crack_lightning.project.drawn_cells.LESSONS", 16)  # a second instead of ten

    def opened(*overrides: str, inspected: bool = True) -> Any:
        from crack_lightning.project.project import open_project
        from crack_lightning.project.site_photographs import load_photographs
        from crack_lightning.runs.inspection.inspecting import inspect_photograph

        options, folder = composed("serve", ["engine=folded", *overrides], run="project")
        made = open_project(replace(options, cache_dir=str(tmp_path / "cache")), folder)
        load_photographs(made)
        for key, photograph in made.photographs.items() if inspected else ():
            made.inspected[key] = inspect_photograph(photograph, folder, made.inspection)
        return made

    (tmp_path / "site").mkdir()
    wall().save(tmp_path / "site/a.png")
    wall(700, 500).save(tmp_path / "site/b.png")
    return opened


def source(tmp_path: Path) -> str:
    return f"source={tmp_path / 'site'}"


def keyed(project: Any, name: str = "a.png") -> tuple[str, list[Any]]:
    from crack_lightning.project.shown_cracks import shown_cracks

    key = project.key_of(name)
    return key, shown_cracks(project, key)


def said(project: Any, kind: str, name: str = "a.png", **facts: Any) -> Any:
    from crack_lightning.project.shown_cracks import correct

    return correct(project, {"kind": kind, "photograph": name, **facts})
