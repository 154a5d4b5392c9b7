"""The folder that a command writes into, by Hydra's settings, and a check that it can be made."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from crack_lightning.cli.command_line import MULTIRUN_FLAGS
from crack_lightning.system.files import check_can_be_made
from crack_lightning.system.results_owner import check_other_results


def run_folder() -> Path:
    """Returns the folder that this run writes everything into."""
    return Path(HydraConfig.get().runtime.output_dir)


def common_folder() -> Path:
    """Returns the folder for files that all points of a sweep share; for a single run, its own folder."""
    return run_folder() if not is_multirun() else Path(HydraConfig.get().sweep.dir).absolute()


def is_multirun() -> bool:
    """Returns whether this job is one of a Hydra multirun."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def wanted_folder(arguments: Sequence[str]) -> Path:
    """Returns the run folder that the arguments name, or the folder in which run folders are made."""
    key = "hydra.sweep.dir" if MULTIRUN_FLAGS & set(arguments) else "hydra.run.dir"
    values = [argument.partition("=")[2] for argument in arguments if argument.partition("=")[0] == key]
    return Path(values[-1].strip("'\"") if values else "outputs").absolute()


def check_folder(arguments: Sequence[str], command: str) -> None:
    """Raises OSError if the run folder cannot be made, for which Hydra would end with a traceback, and UserError if it
    holds the results of another command."""
    if (
        not {argument for argument in arguments if argument.startswith("-")} - MULTIRUN_FLAGS
    ):  # --help, --cfg: nothing is written
        check_can_be_made(wanted_folder(arguments))
        check_other_results(wanted_folder(arguments), command)
