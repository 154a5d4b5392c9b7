"""Finds conf/: the groups of options that a user swaps whole, by name."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from crack_lightning.errors import UserError

PACKAGE = Path(__file__).parents[1]
# In a checkout beside the package, in an installed wheel within it.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if (folder / "train.yaml").is_file())


def group_names() -> list[str]:
    """Returns the names of all groups, such as `model`."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name.isalpha())


def choices_of(group: str) -> list[str]:
    """Returns the names of the options of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def check_choice(group: str, choice: str) -> None:
    """Raises UserError, with the near name, for an option that the group does not have."""
    choices = choices_of(group)
    if choice not in choices:
        near = get_close_matches(choice, choices, 1)
        hint = f"did you mean {group}={near[0]}? " if near else ""
        raise UserError(f"{group}={choice}: no such option. {hint}There are {', '.join(choices)}")


def group_values(group: str, choice: str) -> dict[str, Any]:
    """Returns what an option of a group sets, by key, without what only Hydra reads. Raises as `check_choice`."""
    import yaml

    check_choice(group, choice)
    values = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text("utf-8")) or {}
    return {key: value for key, value in values.items() if key != "defaults"}
