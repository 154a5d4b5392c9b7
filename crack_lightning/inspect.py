"""python -m crack_lightning.inspect: whole photographs to heat maps, regions and a report."""

import sys
from pathlib import Path

from crack_lightning.cli.command import command, common_folder
from crack_lightning.runs.options import InspectOptions


def inspect(options: InspectOptions, folder: Path) -> None:
    """Mark the cracks in photographs; exit status 1 if any could not be read or measured as asked."""
    from crack_lightning.runs.inspection import inspect_photographs

    folder = folder if options.shard is None else common_folder()
    if any(inspected.error or inspected.fault for inspected in inspect_photographs(options, folder)):
        sys.exit(1)


def main() -> None:
    command(inspect, config_name="inspect", needs="torchvision")


if __name__ == "__main__":
    main()
