"""What runs the points of a sweep: on this computer or on many."""

import importlib
import os
from collections.abc import Sequence
from difflib import get_close_matches

from crack_lightning.errors import UserError

# Of a launcher, what has to be installed and the extra that brings it.
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "sweep"),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "ray": ("hydra_plugins.hydra_ray_launcher", "ray"),
}


def check_launcher(arguments: Sequence[str]) -> None:
    """Raise UserError for a launcher that is unknown, with the near name, or not installed, with its pip line."""
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("hydra/launcher=")]
    if not given or given[-1] == "basic":
        return
    name = given[-1]
    if name not in LAUNCHERS:
        near = get_close_matches(name, LAUNCHERS, 1)
        hint = f"did you mean hydra/launcher={near[0]}? " if near else ""
        raise UserError(f"hydra/launcher={name}: no such launcher. {hint}There are basic, {', '.join(LAUNCHERS)}")
    package, extra = LAUNCHERS[name]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise UserError(f'hydra/launcher={name} is not installed: pip install -e ".[{extra}]"') from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ray reports its use to a host on the Internet
