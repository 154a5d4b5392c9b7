"""python -m crack_lightning.explain: where in a patch the classifier sees what it says."""

import sys
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.options import ExplainOptions


def explain(options: ExplainOptions, folder: Path) -> None:
    """Write a picture of each patch, and explanations.csv; exit status 1 if any could not be read."""
    from crack_lightning.runs.explanation import explain_patches

    if explain_patches(options, folder):
        sys.exit(1)


def main() -> None:
    command(explain, config_name="explain", needs="torchvision")


if __name__ == "__main__":
    main()
