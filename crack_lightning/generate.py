"""python -m crack_lightning.generate: synthetic surfaces as class folders."""

import logging

from omegaconf import DictConfig

from crack_lightning.cli.command import command, plain
from crack_lightning.system.files import expanded

log = logging.getLogger(__name__)


def generate(cfg: DictConfig) -> None:
    """Draw `count` surfaces into `output_dir`, which must be new or empty."""
    from crack_lightning.data.synthetic.folder import write_surfaces

    options = plain(cfg)
    folder = expanded(options["output_dir"]).absolute()
    write_surfaces(
        folder,
        count=options["count"],
        seed=options["seed"],
        size_px=options["size_px"],
        class_names=options["class_names"],
        workers=options["num_workers"],
    )
    log.info("%d surfaces: %s", options["count"], folder)


def main() -> None:
    command(generate, config_name="generate")


if __name__ == "__main__":
    main()
