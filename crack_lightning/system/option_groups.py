"""Reads the option groups in conf/: sets of options that a user chooses by name, such as model=resnet18."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from crack_lightning.errors import UserError

PACKAGE_FOLDER = Path(__file__).parents[1]
# conf/ is beside the package in a checkout, and inside the package in an installed wheel.
CONF = next(
    folder for folder in (PACKAGE_FOLDER / "conf", PACKAGE_FOLDER.parent / "conf") if (folder / "train.yaml").is_file()
)


def group_names() -> list[str]:
    """Returns the names of all groups, such as `model`."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name.isalpha())


def choices_of(group: str) -> list[str]:
    """Returns the names to choose from in a group, such as `resnet18` in `model`."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def check_choice(group: str, choice: str) -> None:
    """Raises UserError, with the most similar name, if the group has no option `choice`."""
    choices = choices_of(group)
    if choice not in choices:
        near = get_close_matches(choice, choices, 1)
        hint = f"did you mean {group}={near[0]}? " if near else ""
        raise UserError(f"{group}={choice}: no such option. {hint}There are {', '.join(choices)}")


def group_values(group: str, choice: str) -> dict[str, Any]:
    """Returns the values that a choice in a group sets, by key, except those for Hydra. Raises as `check_choice`."""
    import yaml

    check_choice(group, choice)
    values = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text("utf-8")) or {}
    return {key: value for key, value in values.items() if key != "defaults"}
