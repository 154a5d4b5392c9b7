"""python -m crack_lightning.serve: a page to inspect photographs, correct what was found, and learn from that."""

from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.project.options import ServeOptions


def serve(options: ServeOptions, folder: Path) -> None:
    """Serve the project in the run folder until Ctrl-C."""
    from crack_lightning.page.server import serve_project

    serve_project(options, folder)


def main() -> None:
    command(serve, config_name="serve", needs="torchvision")


if __name__ == "__main__":
    main()
