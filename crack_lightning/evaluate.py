"""python -m crack_lightning.evaluate: a checkpoint's metrics on a folder of photographs, or several on several."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.cli.command_line import MANY
from crack_lightning.runs.options import EvaluateOptions
from crack_lightning.system.arguments import literal


def evaluate(options: EvaluateOptions, folder: Path) -> dict[str, float]:
    """Judge checkpoints on class folders; the metrics of one checkpoint on one folder."""
    from crack_lightning.runs.evaluation import evaluate_checkpoints

    return evaluate_checkpoints(options, folder)


LAYOUTS = {"folder": "folders"} | {name: name for name in ("table", "masks", "metu", "sdnet2018")}


def laid_out(arguments: Sequence[str]) -> list[str]:
    """Arguments with data=masks, as train.py takes it, as data.layout=masks."""
    return [_laid_out(argument) for argument in arguments]


def _laid_out(argument: str) -> str:
    key, _, value = argument.partition("=")
    return f"data.layout={LAYOUTS[value]}" if key == "data" and value in LAYOUTS else argument


def listed(arguments: Sequence[str]) -> list[str]:
    """Arguments with ckpt_path=a,b, which would be a sweep, as the list ckpt_path=[a,b] unless it is one."""
    if MANY & set(arguments):
        return list(arguments)
    return [_listed(argument) for argument in arguments]


def _listed(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key != "ckpt_path" or "," not in value or value[0] in "[{'\"":
        return argument
    return f"ckpt_path={literal([each.strip() for each in value.split(',')])}"


def main() -> None:
    sys.argv[1:] = laid_out(listed(sys.argv[1:]))
    command(evaluate, config_name="evaluate", needs="torchvision")


if __name__ == "__main__":
    main()
