"""A network that was exported: what it says of itself, and something that computes it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import MOST_PATCH_PX, check_patch
from crack_lightning.models.classifier import IMAGE_SIZES, CrackClassifier
from crack_lightning.models.crack_map import LEVELS, CrackMap, Network
from crack_lightning.models.decision import Decision, decision_from

FORMAT = 1
CLASSIFIER, MAP = "classifier", "crack_map"
LEAST_PROBABILITY = 1e-38  # of which a logarithm can be taken

Run = Callable[[Tensor], Sequence[Tensor]]  # pictures (N, 3, h, w) uint8 to the outputs, in their order


def facts_of(network: Network) -> dict[str, Any]:
    """What an export says of itself: plain values."""
    facts = network.facts() | {"format": FORMAT}
    if isinstance(network, CrackMap):
        return facts | {"kind": MAP}
    names = network.decision.facts()
    kept = {name: facts[name] for name in ("backbone", "image_size", "patch_px", "mm_per_px", "weights", "format")}
    return kept | {"kind": CLASSIFIER, "decision": names}


class ExportedClassifier:
    """A classifier that another runtime computes: pictures of any size to probabilities."""

    def __init__(self, run: Run, facts: Mapping[str, Any]) -> None:
        self.run, self.facts = run, dict(facts)
        self.decision = decision_from(facts["decision"])
        self.backbone, self.image_size = str(facts["backbone"]), facts["image_size"]
        self.patch_px, self.mm_per_px, self.weights = facts["patch_px"], facts["mm_per_px"], facts["weights"]

    def logits(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, h, w) uint8 to logits (N, 2), not calibrated, less what all of them have in common."""
        (probabilities,) = self.run(images)
        return probabilities.clamp(min=LEAST_PROBABILITY).log() * self.decision.temperature

    def positive_probabilities(self, logits: Tensor) -> Tensor:
        """Logits (N, 2) to calibrated probabilities of the positive class (N,)."""
        return self.decision.positive_probabilities(logits)


class ExportedMap:
    """A crack map that another runtime computes: pictures of any size to the logits of their cells."""

    def __init__(self, run: Run, facts: Mapping[str, Any]) -> None:
        self.run, self.facts = run, dict(facts)
        self.decision = decision_from(facts["decision"])
        self.backbone = str(facts["backbone"])
        self.patch_px, self.mm_per_px, self.weights = facts["patch_px"], facts["mm_per_px"], facts["weights"]
        self.level, self.small_level, self.patch_level, self.patch_scale = (float(facts[name]) for name in LEVELS)

    @property
    def cell_decision(self) -> Decision:
        """What the probabilities of cells mean: 0.5 is where `level` lies."""
        return Decision(self.decision.class_names, self.decision.positive_class)

    def cell_logits(self, images: Tensor, *, patches: bool) -> Tensor:
        """Pictures (N, 3, h, w) uint8 to logits (N, h/4, w/4), rounded up, of the head that patches are judged by or of
        that which marks cells."""
        return self.run(images)[1][:, int(patches)]

    def positive_probabilities(self, logits: Tensor) -> Tensor:
        """Logits of patches (N, 2) to calibrated probabilities of the positive class (N,)."""
        return self.decision.positive_probabilities(logits)


Exported = ExportedClassifier | ExportedMap
Opened = Network | Exported


def is_map(network: Opened) -> bool:
    """Whether it marks cells, rather than judging windows."""
    return isinstance(network, CrackMap | ExportedMap)


def exported_network(run: Run, facts: Any) -> Exported:
    """The network that `facts` describe. Raises UserError for what no export says, or says wrongly."""
    try:
        _check(facts)
        return ExportedMap(run, facts) if facts["kind"] == MAP else ExportedClassifier(run, facts)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"what it says of itself cannot be used ({error}): export again") from error


def _check(facts: Any) -> None:
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise UserError(f"its format is not {FORMAT}, which this version reads")
    if facts["kind"] not in (CLASSIFIER, MAP) or not isinstance(facts["decision"], dict):
        raise UserError(f"kind={facts['kind']!r}: {CLASSIFIER} or {MAP}, with a decision")
    check_patch(facts)
    size = facts.get("image_size", IMAGE_SIZES[0])
    if type(size) is not int or size not in range(1, MOST_PATCH_PX):
        raise UserError(f"image_size={size!r}")
    levels = [facts[name] for name in LEVELS] if facts["kind"] == MAP else []
    if not all(type(level) in (int, float) and math.isfinite(level) for level in levels):
        raise UserError(f"{', '.join(LEVELS)}: numbers")


def network_of(facts: Mapping[str, Any]) -> Network:
    """A network as `facts` describe it, its weights still random, in evaluation mode."""
    decision, weights = decision_from(facts["decision"]), facts["weights"]
    common = {"backbone": facts["backbone"], "decision": decision, "state_dict": None, "weights": weights}
    if facts["kind"] == MAP:
        return CrackMap(**common, **{name: facts[name] for name in LEVELS})
    return CrackClassifier(**common, image_size=facts["image_size"], dropout=0.0, freeze=True).eval()


def with_layers(network: Opened, path: object, what: str) -> Network:
    """The network, where it is none that was exported. Raises UserError that says that `what` needs its layers."""
    if isinstance(network, ExportedClassifier | ExportedMap):
        raise UserError(f"ckpt_path={path} is an export, and {what} needs the layers: give the checkpoint itself")
    return network
