"""The networks to export (a classifier or a crack map), with suitable pictures and the answers to compare with."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.data.synthetic.surface_folder import surface_image
from crack_lightning.engines.pick import pick_engine
from crack_lightning.engines.portable import SHARPENED, portable
from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.grouping import sharpened
from crack_lightning.models.checkpoint import FACTS_KEY, MAP_KEY, PREFIX, checkpoint_facts
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CELL_PX, CrackMap, Network
from crack_lightning.models.map_checkpoint import map_facts

KINDS = CLASSIFIER, MAP = "classifier", "crack_map"
EXPORTED_FACTS = ("backbone", "image_size", "patch_px", "mm_per_px", "weights")  # facts of a classifier in model.json
SYNTHETIC_PX = 256  # side of synthetic pictures for a classifier whose training size is not known
SYNTHETIC_COUNT, SYNTHETIC_MAP_COUNT = 240, 64  # synthetic pictures for int8, for a classifier and for a crack map
MAP_SIDE_PX = 512  # side of the square that is cut from the middle of a photograph
BATCH_SIZE = 4
# How much is lost, the measure in words, and the metrics before and after, empty without labels.
LossFacts = tuple[float, str, dict[str, float], dict[str, float]]


class ClassifierSubject:
    """A classifier to export. Its answers are probabilities (N, 2), one row for each picture."""

    kind, is_map = CLASSIFIER, False

    def __init__(self, network: CrackClassifier) -> None:
        self.network, self.decision, self.transform = network, network.decision, plain_transform(network.image_size)

    @property
    def facts(self) -> dict[str, object]:
        """Returns the facts about the network for model.json, as plain values."""
        facts = self.network.facts()
        return {name: facts[name] for name in EXPORTED_FACTS} | {"decision": self.decision.facts()}

    def safetensors_content(
        self, provenance: Mapping[str, object]
    ) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Returns the tensors and the metadata from which the checkpoint can be restored."""
        tensors = {f"{PREFIX}{name}": tensor for name, tensor in self.network.state_dict().items()}
        return tensors, {FACTS_KEY: checkpoint_facts(self.network, provenance)}

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Returns the three sizes (width, height) of the pictures to compare on."""
        side = self.network.image_size
        return ((side, side), (side + 47, side + 47), (side * 3 // 2, side))

    @property
    def outputs(self) -> list[dict[str, object]]:
        """Returns the description of the outputs for model.json."""
        return [{"name": "probabilities", "dtype": "float32", "shape": ["batch", list(self.decision.class_names)]}]

    def synthetic_picture(self, seed: int, number: int, *, positive: bool) -> Image.Image:
        """Returns a synthetic picture that suits the network."""
        return surface_image(seed=seed, index=number, positive=positive, size_px=self.network.patch_px or SYNTHETIC_PX)

    def synthetic_labels(self) -> list[int] | None:
        """Returns a label for each synthetic picture, 1 with a crack, else 0; None for a crack map, which has no
        labels."""
        # In pairs, since every second picture calibrates, the others are judged, and both sets need both classes.
        return [number // 2 % 2 for number in range(SYNTHETIC_COUNT)]

    def to_tensor(self, image: Image.Image) -> Tensor:
        """Returns a picture as a tensor (3, h, w) uint8, at the size to calibrate on."""
        return torch.as_tensor(self.transform(image))

    def reference_answers(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Returns the answers to pictures of equal size, computed as in `predict` or `inspect`."""
        return self.network.predict_proba(torch.stack([self.to_tensor(picture) for picture in pictures]))

    def answers(self, images: Tensor) -> Tensor:
        """Returns the float32 answers to pictures (N, 3, h, w) uint8."""
        if not len(images):
            return torch.empty(0)
        features = pick_engine(self.network, "auto", images[:1])  # the same engine as for `predict`
        logits = (self.network.classify(features(batch)) for batch in images.split(BATCH_SIZE))
        return torch.cat([self.network.probabilities(values) for values in logits])

    def positive_probabilities(self, answers: Tensor) -> Tensor:
        """Returns the probabilities of a crack in `answers`."""
        return answers[:, self.decision.positive_index]

    def labels_from_folders(self, folders: Sequence[str]) -> list[int] | None:
        """Returns a label for each folder name, 1 for positive; None unless all are names of the network's classes."""
        all_known = set(folders) <= set(self.decision.class_names)
        return [int(name == self.decision.positive_class) for name in folders] if all_known else None

    def loss_facts(self, before: Tensor, after: Tensor, labels: Tensor | None) -> LossFacts:
        """Returns the loss from the answers before quantising to those after it; `labels` (N,), None if not known."""
        old, new = self.positive_probabilities(before), self.positive_probabilities(after)
        if labels is None:
            differ = self.decision.is_positive(old) != self.decision.is_positive(new)
            return differ.float().mean().item(), "the decisions, against those of float32", {}, {}
        metrics = [
            {name: value.item() for name, value in binary_metrics(self.decision, prefix="")(scores, labels).items()}
            for scores in (old, new)
        ]
        compared = ("accuracy", "auroc", "f1")
        first, second = ({name: scores[name] for name in compared} for scores in metrics)
        lost = max(first[name] - second[name] for name in compared)
        return max(0.0, lost), "accuracy, AUROC or F1", first, second


class MapSubject:
    """A crack map to export. Its answers are probabilities of cells (N, h/4, w/4)."""

    kind, is_map = MAP, True
    sizes = ((256, 256), (301, 203), (512, 384))

    def __init__(self, network: CrackMap) -> None:
        self.network, self.decision = network, network.marking_decision
        self.reader = CrackMapReader(network, engine="eager")

    @property
    def facts(self) -> dict[str, object]:
        return self.network.facts()

    def safetensors_content(
        self, provenance: Mapping[str, object]
    ) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        return self.network.state_dict(), {MAP_KEY: map_facts(self.network, provenance)}

    @property
    def outputs(self) -> list[dict[str, object]]:
        cells = ["height/4", "width/4"]
        return [
            {"name": "crack_map", "dtype": "float32", "shape": ["batch", *cells], "threshold": 0.5},
            {"name": "logits", "dtype": "float32", "shape": ["batch", 2, *cells], "of": ["cells", "patches"]},
        ]

    def synthetic_picture(self, seed: int, number: int, *, positive: bool) -> Image.Image:
        return lesson(None, seed, number).image

    def synthetic_labels(self) -> list[int] | None:
        return None

    def to_tensor(self, image: Image.Image) -> Tensor:
        side = min(MAP_SIDE_PX, *image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        middle = image.crop((left, top, left + side, top + side))
        return torch.from_numpy(np.array(middle.resize((MAP_SIDE_PX, MAP_SIDE_PX)))).permute(2, 0, 1)

    def reference_answers(self, pictures: Sequence[Image.Image]) -> Tensor:
        logits = (self.reader.logits(self.reader.prepared(picture)) for picture in pictures)
        above = torch.stack([sharpened(values - values.median(), SHARPENED) for values in logits])
        return (above - self.network.level).sigmoid()

    def answers(self, images: Tensor) -> Tensor:
        module = portable(self.network)
        return torch.cat([module(batch)[0] for batch in images.split(BATCH_SIZE)])

    def positive_probabilities(self, answers: Tensor) -> Tensor:
        return answers

    def labels_from_folders(self, folders: Sequence[str]) -> list[int] | None:
        return None

    def loss_facts(self, before: Tensor, after: Tensor, labels: Tensor | None) -> LossFacts:
        expected, marked = self.decision.is_positive(before), self.decision.is_positive(after)
        f1 = 2 * (expected & marked).sum() / (expected.sum() + marked.sum()).clamp(min=1)
        return 1 - f1.item(), f"the F1 of cells of {CELL_PX} pixels, against those that float32 marks", {}, {}


Subject = ClassifierSubject | MapSubject


def subject_of(network: Network) -> Subject:
    """Returns the subject that exports a network, by the type of the network."""
    return MapSubject(network) if isinstance(network, CrackMap) else ClassifierSubject(network)
