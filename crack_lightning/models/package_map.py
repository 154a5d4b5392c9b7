"""The crack map that comes with the package: its file, and the map built of it."""

import json
import logging
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from safetensors import safe_open
from torch import Tensor

from crack_lightning.models.crack_map import CALIBRATION, CrackMap
from crack_lightning.models.decision import Decision, decision_from
from crack_lightning.models.weights import WeightsSource, resolve_weights

log = logging.getLogger(__name__)

FILE_NAME, FACTS_KEY = "package_map.safetensors", "crack_map"


@cache
def package_content() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors of the package's map, without its backbone, and the facts about it: backbone, decision,
    levels, provenance; at `linear` the levels of its linear head alone."""
    with as_file(files("crack_lightning.models").joinpath(FILE_NAME)) as path, safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        return tensors, json.loads(file.metadata()[FACTS_KEY])


def package_facts() -> dict[str, Any]:
    """Returns the facts of the package's map: its decision, levels and provenance."""
    return package_content()[1]


def package_map(
    decision: Decision | None = None,
    *,
    weights: tuple[dict[str, Tensor] | None, WeightsSource] | None = None,
    corrected: bool = True,
    **settings: Any,
) -> CrackMap:
    """Builds the package's map, trained on synthetic cracks; a `decision` replaces the package's own.

    `weights` is an earlier result of `resolve_weights`. Without `corrected` it is the linear head alone, to compare
    with. `settings` are `patch_px` and `mm_per_px`, which the map's checkpoint keeps. Raises the errors of
    `resolve_weights`.
    """
    tensors, facts = package_content()
    log.info("using the package's crack map, trained on synthetic cracks only")
    state_dict, source = weights or resolve_weights(facts["backbone"], facts["weights"])
    levels = facts if corrected else facts["linear"]
    network = CrackMap(
        backbone=facts["backbone"],
        decision=decision or decision_from(facts["decision"]),
        state_dict=state_dict,
        random=state_dict is None,
        weights=source.as_dict(),
        corrected=corrected,
        **{name: levels[name] for name in CALIBRATION},
        **settings,
    )
    own = {name: tensor for name, tensor in tensors.items() if corrected or name in ("weight", "bias")}
    network.load_state_dict({**network.state_dict(), **own, "patch_weight": own["weight"]})
    return network
