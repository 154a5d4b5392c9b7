"""python -m crack_lightning.compare: two inspections of one place, and what became of the cracks."""

import sys
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.options import CompareOptions


def compare(options: CompareOptions, folder: Path) -> None:
    """Name cracks that are new, longer, wider or gone; exit status 1 if any photograph has no counterpart."""
    from crack_lightning.runs.comparison import compare_runs

    if compare_runs(options, folder):
        sys.exit(1)


def main() -> None:
    command(compare, config_name="compare", needs="torchvision")


if __name__ == "__main__":
    main()
