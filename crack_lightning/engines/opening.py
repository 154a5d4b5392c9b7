"""Whatever a checkpoint's path names, opened: a checkpoint, an export, or nothing for the map of the package."""

from pathlib import Path
from typing import Any

from crack_lightning.engines.exports import is_export, open_export
from crack_lightning.errors import UserError
from crack_lightning.models.exported import ExportedClassifier, ExportedMap, Opened
from crack_lightning.models.map_checkpoint import load_with_provenance
from crack_lightning.system.hub import local_file


def opened_network(path: str | Path | None, *, engine: str = "auto") -> Opened:
    """The network. Raises UserError or OSError where it cannot be opened, or, as an export, not by this `engine`."""
    return opened_with_provenance(path, engine=engine)[0]


def opened_with_provenance(path: str | Path | None, *, engine: str = "auto") -> tuple[Opened, dict[str, Any]]:
    """The same, and what it was made of."""
    if path is None or not is_export(local := local_file(path)):
        return load_with_provenance(path)
    if engine != "auto":
        raise UserError(f"engine={engine}: {local.name} is an export, which one runtime computes; leave engine out")
    network: ExportedClassifier | ExportedMap = open_export(local)
    return network, dict(network.facts.get("provenance", {}))
