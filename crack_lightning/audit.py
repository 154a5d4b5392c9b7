"""python -m crack_lightning.audit: what is wrong with a folder of photographs, and what it is worth."""

import sys
from pathlib import Path

from crack_lightning.cli.command import command
from crack_lightning.runs.options import AuditOptions


def audit(options: AuditOptions, folder: Path) -> None:
    """Look at every file of a folder; exit status 1 for errors."""
    from crack_lightning.runs.auditing import audit_folder

    if audit_folder(options, folder):
        sys.exit(1)


def main() -> None:
    command(audit, config_name="audit")


if __name__ == "__main__":
    main()
