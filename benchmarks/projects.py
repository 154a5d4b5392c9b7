"""Projects that benchmarks correct, as the page opens them."""

from pathlib import Path

from crack_lightning.corrections.journal import JOURNAL, Journal
from crack_lightning.project.options import ServeOptions
from crack_lightning.project.project import Project, open_project
from crack_lightning.project.site_photographs import load_photographs
from crack_lightning.runs.inspection.inspecting import inspect_photograph


def project_of(folder: Path, source: Path) -> Project:
    """A project over `source`, inspected."""
    options = ServeOptions(source=str(source), port=0, open=False, device="cpu")
    project = open_project(options, folder)
    load_photographs(project)
    for key, photograph in project.photographs.items():
        project.inspected[key] = inspect_photograph(photograph, folder, project.inspection)
    return project


def forget(project: Project) -> None:
    """Start the journal again."""
    (project.folder / JOURNAL).unlink(missing_ok=True)
    project.journal = Journal(project.folder / JOURNAL)
