"""python -m crack_lightning.pack: a data set in archives, which train.py data=webdataset reads."""

from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.pack_options import PackOptions
from crack_lightning.system.interrupts import ctrl_c_says


def pack(options: PackOptions, folder: Path) -> None:
    """Write archives in the layout of WebDataset, split as training splits."""
    from crack_lightning.runs.packing import pack_data

    with ctrl_c_says(lambda: "what is packed is of no use: pack again"):
        pack_data(options, folder)


def main() -> None:
    command(pack, config_name="pack", needs="lightning.pytorch")


if __name__ == "__main__":
    main()
