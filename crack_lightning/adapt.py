"""python -m crack_lightning.adapt: a crack map of a site from its own photographs, without labels."""

import sys
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.options import AdaptOptions


def adapt(options: AdaptOptions, folder: Path) -> None:
    """Write checkpoints/best.ckpt, which inspect and predict take, and what may be expected of it; exit status 1 if any
    photograph could not be read."""
    from crack_lightning.runs.adaptation import adapt_map

    if adapt_map(options, folder):
        sys.exit(1)


def main() -> None:
    command(adapt, config_name="adapt", needs="torchvision")


if __name__ == "__main__":
    main()
