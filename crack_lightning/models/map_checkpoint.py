"""Reads and writes crack maps: self-contained files, checked and opened without running code from them."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import (
    FACTS_KEY,
    MAP_KEY,
    check_origin,
    check_tensors,
    checked_checkpoint,
    classifier_from,
    open_checkpoint,
)
from crack_lightning.models.crack_map import CALIBRATION, CrackMap, Network
from crack_lightning.models.decision import decision_from
from crack_lightning.models.package_map import package_map
from crack_lightning.system.files import write_atomically

# Format 1 had no correction, and a level of its own for small photographs.
FORMAT, FORMER_FORMAT = 2, 1
FACT_NAMES = ("backbone", "decision", "patch_px", "mm_per_px", "weights", "corrected", *CALIBRATION)


def write_map(path: Path, network: CrackMap, provenance: Mapping[str, object]) -> None:
    """Writes everything that the map needs; `provenance` holds plain values that record what it was made from."""
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    file = io.BytesIO()
    torch.save({MAP_KEY: map_facts(network, provenance), "state_dict": state}, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, file.getvalue())


def map_facts(network: CrackMap, provenance: Mapping[str, object]) -> dict[str, Any]:
    """Returns the entry at `MAP_KEY`: the format, what is needed to rebuild the map, and its provenance."""
    return {"format": FORMAT, "facts": network.facts(), "provenance": dict(provenance)}


def load_network(path: str | Path | None) -> Network:
    """Returns the network of a checkpoint, in evaluation mode on the CPU; for None, the package's crack map.

    Raises the errors of `read_checkpoint`.
    """
    return load_with_provenance(path)[0]


def load_with_provenance(path: str | Path | None) -> tuple[Network, dict[str, Any]]:
    """Returns the network as `load_network` does, and the provenance in its checkpoint."""
    if path is None:
        return package_map(), {}
    checkpoint = open_checkpoint(path)
    if not isinstance(checkpoint, dict) or MAP_KEY not in checkpoint:
        checked = checked_checkpoint(checkpoint, path)
        return classifier_from(checked, path), checked[FACTS_KEY]["provenance"]
    try:
        return _map_from(checkpoint), dict(checkpoint[MAP_KEY]["provenance"])
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"ckpt_path={path} cannot be used: {reason}. Use another copy, or train again") from error


def _map_from(checkpoint: Mapping[str, Any]) -> CrackMap:
    entry = checkpoint[MAP_KEY]
    if not isinstance(entry, dict) or entry.get("format") not in (FORMER_FORMAT, FORMAT):
        raise UserError(f"this version reads formats {FORMER_FORMAT} and {FORMAT} only")
    facts = entry.get("facts")
    if isinstance(facts, dict) and entry["format"] == FORMER_FORMAT:
        facts = {"corrected": False, **{name: value for name, value in facts.items() if name != "small_level"}}
    if not isinstance(facts, dict) or sorted(facts) != sorted(FACT_NAMES):
        raise UserError(f"its facts must be exactly {', '.join(FACT_NAMES)}")
    for name in CALIBRATION:
        if type(facts[name]) not in (int, float) or not math.isfinite(facts[name]):
            raise UserError(f"{name}={facts[name]!r} is not a number")
    if facts["patch_scale"] <= 0:
        raise UserError(f"patch_scale={facts['patch_scale']}: must be above 0")
    if type(facts["corrected"]) is not bool:
        raise TypeError(f"corrected={facts['corrected']!r}: must be true or false")
    if not isinstance(facts["decision"], dict) or not isinstance(facts["backbone"], str):
        raise TypeError("its decision or its backbone has the wrong type")
    check_origin(facts)
    check_tensors(checkpoint.get("state_dict"))
    network = CrackMap(state_dict=None, random=False, **facts | {"decision": decision_from(facts["decision"])})
    network.load_state_dict(checkpoint["state_dict"])
    return network.eval()
