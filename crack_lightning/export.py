"""python -m crack_lightning.export: a checkpoint in the formats of other runtimes."""

from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.export_options import ExportOptions


def export(options: ExportOptions, folder: Path) -> None:
    """Write the files, model.json and a card; nothing where an export answers otherwise than the checkpoint."""
    from crack_lightning.runs.exporting import export_checkpoint

    export_checkpoint(options, folder)


def main() -> None:
    command(export, config_name="export", needs="torchvision")


if __name__ == "__main__":
    main()
