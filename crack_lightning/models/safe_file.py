"""A checkpoint as safetensors: the same facts and tensors in a format that cannot hold code, for hubs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.models.checkpoint import FACTS_KEY, MAP_KEY, PREFIX, checkpoint_facts
from crack_lightning.models.crack_map import CrackMap, Network
from crack_lightning.models.map_checkpoint import FORMAT as MAP_FORMAT

SUFFIX = ".safetensors"
REMEDY = 'safetensors is not installed: pip install -e ".[hub]"'


def write_safe(path: Path, network: Network, provenance: Mapping[str, Any]) -> None:
    """The network with everything that opens it again; `provenance` are plain values."""
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise MissingPackage(REMEDY) from error
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    if isinstance(network, CrackMap):
        key, facts = MAP_KEY, {"format": MAP_FORMAT, "facts": network.facts(), "provenance": dict(provenance)}
    else:
        key, facts = FACTS_KEY, checkpoint_facts(network, provenance)
        tensors = {f"{PREFIX}{name}": tensor for name, tensor in tensors.items()}
    path.write_bytes(save(tensors, metadata={key: json.dumps(facts), "format": "pt"}))


def read_safe(path: Path) -> dict[str, Any]:
    """What a checkpoint of torch would hold, not yet checked. Raises UserError for what is no such file."""
    try:
        from safetensors import safe_open
    except ModuleNotFoundError as error:
        raise MissingPackage(REMEDY) from error
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = {key: json.loads(metadata[key]) for key in (FACTS_KEY, MAP_KEY) if key in metadata}
    except Exception as error:  # safetensors' own, and JSON's
        raise UserError(f"ckpt_path={path} is damaged or no safetensors file: use another copy") from error
    return facts | {"state_dict": tensors}
