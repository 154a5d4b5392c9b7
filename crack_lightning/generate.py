"""python -m crack_lightning.generate: synthetic surfaces as class folders."""

import logging
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.options import GenerateOptions

log = logging.getLogger(__name__)


def generate(options: GenerateOptions, folder: Path) -> None:
    """Draw `count` surfaces into `output_dir`, which must be new or empty."""
    from crack_lightning.data.synthetic.folder import write_surfaces

    target = Path(options.output_dir)
    write_surfaces(
        target,
        count=options.count,
        seed=options.seed,
        size_px=options.size_px,
        class_names=options.class_names,
        workers=options.num_workers,
    )
    log.info("%d surfaces: %s", options.count, target)


def main() -> None:
    command(generate, config_name="generate")


if __name__ == "__main__":
    main()
