"""Which command wrote a folder of results: two commands would overwrite each other's files there."""

from pathlib import Path

from crack_lightning.errors import UserError
from crack_lightning.system.locks import lock_at_once

LOCK_FILE = ".project.lock"  # in the folder of a project; held while it is open

# A file that only this command writes, or the first command of the list that writes it.
COMMAND_FILES = {
    "train": "config.yaml",
    "inspect": "inspection.csv",
    "compare": "comparison.csv",
    "export": "model.json",
    "audit": "audit.csv",
    "evaluate": "metrics.json",
    "predict": "predictions.csv",
}


def check_other_results(folder: Path, command: str) -> None:
    """Raises UserError if `folder` holds the results of another command, or a project that is open. One that is not may
    hold an inspection."""
    if command != "serve" and (folder / LOCK_FILE).is_file():
        with lock_at_once(folder / LOCK_FILE, f"(`crack serve`) has the project out={folder} open"):
            pass
    owner = next((name for name, file in COMMAND_FILES.items() if (folder / file).is_file()), None)
    if owner not in (None, command) and not (owner == "inspect" and command in ("mark", "serve")):
        raise UserError(f"out={folder} holds the results of `{owner}`: give another folder to `{command}`")
