"""python -m crack_lightning.predict: what a checkpoint says of patches."""

import sys
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.options import PredictOptions
from crack_lightning.system.interrupts import ctrl_c_says


def predict(options: PredictOptions, folder: Path) -> None:
    """Write predictions.csv, a row a file; exit status 1 if there were any that could not be read."""
    from crack_lightning.runs.prediction import predict_patches

    with ctrl_c_says(lambda: "nothing is left: predict again"):
        unread = predict_patches(options, folder)
    if unread:
        sys.exit(1)


def main() -> None:
    command(predict, config_name="predict", needs="torchvision")


if __name__ == "__main__":
    main()
