"""The networks to export, a classifier or a crack map, with pictures of the kind they are for and their own answers."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.data.synthetic.surface_folder import drawn_surface
from crack_lightning.engines.pick import pick_engine
from crack_lightning.engines.portable import SHARPENED, portable
from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.inference.crack_maps import CrackMapReader, sharpened
from crack_lightning.models.checkpoint import FACTS_KEY, MAP_KEY, PREFIX, checkpoint_facts
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CELL_PX, CrackMap, Network
from crack_lightning.models.map_checkpoint import map_facts

KINDS = CLASSIFIER, MAP = "classifier", "crack_map"
KEPT = ("backbone", "image_size", "patch_px", "mm_per_px", "weights")  # facts of a classifier that an export holds
DRAWN_PX = 256
DRAWN, DRAWN_MAPS = 240, 64
MAP_PX = 512  # side of the pieces of photographs, cut from their middle
BATCH = 4
Lost = tuple[float, str, dict[str, float], dict[str, float]]


class ClassifierSubject:
    """A classifier to export: its answers are probabilities (N, 2) of whole pictures."""

    kind, marks = CLASSIFIER, False

    def __init__(self, network: CrackClassifier) -> None:
        self.network, self.decision, self.transform = network, network.decision, plain_transform(network.image_size)

    @property
    def facts(self) -> dict[str, object]:
        """Returns what an export records of the network: plain values."""
        facts = self.network.facts()
        return {name: facts[name] for name in KEPT} | {"decision": self.decision.facts()}

    def safe(self, provenance: Mapping[str, object]) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Returns the tensors and the metadata from which the checkpoint can be made again."""
        tensors = {f"{PREFIX}{name}": tensor for name, tensor in self.network.state_dict().items()}
        return tensors, {FACTS_KEY: checkpoint_facts(self.network, provenance)}

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Returns three sizes (width, height) of pictures to compare on."""
        side = self.network.image_size
        return ((side, side), (side + 47, side + 47), (side * 3 // 2, side))

    @property
    def outputs(self) -> list[dict[str, object]]:
        """Returns the description of the outputs for model.json."""
        return [{"name": "probabilities", "dtype": "float32", "shape": ["batch", list(self.decision.class_names)]}]

    def drawn(self, seed: int, number: int, *, positive: bool) -> Image.Image:
        """Returns a drawn picture of the kind that the network is for."""
        return drawn_surface(seed=seed, index=number, positive=positive, size_px=self.network.patch_px or DRAWN_PX)

    def drawn_labels(self) -> list[int] | None:
        """Returns which of DRAWN pictures show a crack, as 0 or 1; None for a map, whose pictures have no label."""
        return [number // 2 % 2 for number in range(DRAWN)]  # both in each half

    def sized(self, image: Image.Image) -> Tensor:
        """Returns a picture (3, h, w) uint8 at the size to calibrate on."""
        return torch.as_tensor(self.transform(image))

    def own(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Returns the answers to pictures of one size, as `predict` or `inspect` computes them."""
        return self.network.predict_proba(torch.stack([self.sized(picture) for picture in pictures]))

    def answers(self, images: Tensor) -> Tensor:
        """Returns the answers to pictures (N, 3, h, w) uint8, in 32 bits."""
        if not len(images):
            return torch.empty(0)
        features, network = pick_engine(self.network, "auto", images[:1]), self.network  # as predict picks it
        return torch.cat([network.probabilities(network.classify(features(batch))) for batch in images.split(BATCH)])

    def positive(self, answers: Tensor) -> Tensor:
        """Returns the probabilities of a crack in `answers`."""
        return answers[:, self.decision.positive_index]

    def labels(self, folders: Sequence[str]) -> list[int] | None:
        """Returns labels by the names of class folders; None unless all are classes of the network."""
        known = set(folders) <= set(self.decision.class_names)
        return [int(name == self.decision.positive_class) for name in folders] if known else None

    def lost(self, before: Tensor, after: Tensor, labels: Tensor | None) -> Lost:
        """Returns how much is lost between two answers, of what, and the metrics of both where labels are known."""
        old, new = self.positive(before), self.positive(after)
        if labels is None:
            differ = self.decision.is_positive(old) != self.decision.is_positive(new)
            return differ.float().mean().item(), "the decisions, against those of float32", {}, {}
        figures = [
            {name: value.item() for name, value in binary_metrics(self.decision, prefix="")(scores, labels).items()}
            for scores in (old, new)
        ]
        judged = ("accuracy", "auroc", "f1")
        first, second = ({name: scores[name] for name in judged} for scores in figures)
        lost = max(first[name] - second[name] for name in judged)
        return max(0.0, lost), "accuracy, AUROC or F1", first, second


class MapSubject:
    """A crack map to export: its answers are probabilities of cells (N, h/4, w/4)."""

    kind, marks = MAP, True
    sizes = ((256, 256), (301, 203), (512, 384))

    def __init__(self, network: CrackMap) -> None:
        self.network, self.decision = network, network.marking_decision
        self.reader = CrackMapReader(network, engine="eager")

    @property
    def facts(self) -> dict[str, object]:
        return self.network.facts()

    def safe(self, provenance: Mapping[str, object]) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        return self.network.state_dict(), {MAP_KEY: map_facts(self.network, provenance)}

    @property
    def outputs(self) -> list[dict[str, object]]:
        cells = ["height/4", "width/4"]
        return [
            {"name": "crack_map", "dtype": "float32", "shape": ["batch", *cells], "threshold": 0.5},
            {"name": "logits", "dtype": "float32", "shape": ["batch", 2, *cells], "of": ["cells", "patches"]},
        ]

    def drawn(self, seed: int, number: int, *, positive: bool) -> Image.Image:
        return lesson(None, seed, number).image

    def drawn_labels(self) -> list[int] | None:
        return None

    def sized(self, image: Image.Image) -> Tensor:
        side = min(MAP_PX, *image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        middle = image.crop((left, top, left + side, top + side))
        return torch.from_numpy(np.array(middle.resize((MAP_PX, MAP_PX)))).permute(2, 0, 1)

    def own(self, pictures: Sequence[Image.Image]) -> Tensor:
        return torch.stack([self._probability(self.reader.logits_of(picture)) for picture in pictures])

    def _probability(self, logits: Tensor) -> Tensor:
        return (sharpened(logits - logits.median(), SHARPENED) - self.network.level).sigmoid()

    def answers(self, images: Tensor) -> Tensor:
        module = portable(self.network)
        return torch.cat([module(batch)[0] for batch in images.split(BATCH)])

    def positive(self, answers: Tensor) -> Tensor:
        return answers

    def labels(self, folders: Sequence[str]) -> list[int] | None:
        return None

    def lost(self, before: Tensor, after: Tensor, labels: Tensor | None) -> Lost:
        expected, marked = self.decision.is_positive(before), self.decision.is_positive(after)
        f1 = 2 * (expected & marked).sum() / (expected.sum() + marked.sum()).clamp(min=1)
        return 1 - f1.item(), f"the F1 of cells of {CELL_PX} pixels, against those that float32 marks", {}, {}


Subject = ClassifierSubject | MapSubject


def subject_of(network: Network) -> Subject:
    """Returns the network as a subject of export."""
    return MapSubject(network) if isinstance(network, CrackMap) else ClassifierSubject(network)
