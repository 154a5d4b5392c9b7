"""The model card of a training run, in the layout of Hugging Face's model cards (Mitchell et al. 2019)."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from crack_lightning import __version__
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.layouts import LAYOUTS
from crack_lightning.evaluation.predictions import JudgedSamples
from crack_lightning.models.crack_map import CrackMap, Network
from crack_lightning.report.templates import rendered
from crack_lightning.runs.judging.mask_results import EvaluatedPhotograph
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.system.files import write_atomically

MOST_GROUPS, MOST_FAILURES = 5, 8
OWNER = "as their owner says"
TRAINED_ON = "trained on ImageNet, whose pictures are for research"
LICENCES = {"torch cache": "BSD-3-Clause (torchvision)", "download": "BSD-3-Clause (torchvision)", "package": "MIT"}
TYPES = {  # names that model hubs give to metrics of the test
    **{"recall": "recall", "precision": "precision", "accuracy": "accuracy", "f1": "f1", "auroc": "roc_auc"},
    **{"cells_f1": "f1", "cells_precision": "precision", "cells_recall": "recall", "pixels_iou": "mean_iou"},
}


@dataclass(frozen=True)
class DataFacts:
    """A data set in words."""

    name: str
    citation: str
    licence: str


@dataclass(frozen=True)
class Failure:
    """A test image that is predicted wrongly, with the probability of the positive class, 0..1."""

    path: str
    truth: str
    probability: float


@dataclass(frozen=True)
class GroupErrors:
    """A group of test images: their number, and how many of them are predicted wrongly."""

    group: str
    images: int
    wrong: int


def write_card(
    folder: Path,
    judged: JudgedSamples,
    data: CrackDataModule,
    options: TrainOptions,
    metrics: Mapping[str, float],
) -> None:
    """Writes model_card.md of a network that was judged on labelled pictures into the run folder."""
    network = judged.network
    wrong = (judged.predicted != judged.targets).tolist()
    groups = [sample.group for sample in judged.samples]
    has_groups = 1 < len(set(groups)) < len(groups)
    _write(
        folder,
        "patch_card.md",
        network,
        options,
        metrics,
        data=_described(data),
        counts={
            split: Counter(data.class_names[label] for label in sorted(sample.label for sample in samples))
            for split, samples in data.splits.items()
        },
        frozen=not any(parameter.requires_grad for parameter in network.features.parameters()),
        groups=worst_groups(groups, wrong, most=MOST_GROUPS) if has_groups else [],
        failures=_failures(judged, data.root),
        errors=sum(wrong),
    )


def write_mask_card(
    folder: Path,
    network: CrackMap,
    judged: Sequence[EvaluatedPhotograph],
    counts: Mapping[str, int],
    metrics: Mapping[str, float],
    options: TrainOptions,
    *,
    tolerance: int,
) -> None:
    """Writes model_card.md of a map that was trained on photographs with masks; `counts` are numbers
    of photographs by split, `tolerance` is in cells."""
    _write(
        folder,
        "mask_card.md",
        network,
        options,
        metrics,
        data=DataFacts(Path(str(options.data.root)).name, "", OWNER),
        counts=counts,
        tolerance=tolerance,
        worst=sorted(judged, key=lambda photograph: photograph.counts.cells.f1)[:MOST_FAILURES],
    )


def _write(
    folder: Path, template: str, network: Network, options: TrainOptions, metrics: Mapping[str, float], **values: object
) -> None:
    source = network.weights.get("source", "")
    card = rendered(
        template,
        backbone=network.backbone,
        is_map=isinstance(network, CrackMap),
        decision=network.decision,
        weights=network.weights.get("name", "null"),
        source=source,
        licence=_licence(source),
        metrics=metrics,
        results=[
            {"type": kind, "name": f"test {name}", "value": round(metrics[f"test/{name}"], 6)}
            for name, kind in TYPES.items()
            if f"test/{name}" in metrics
        ],
        options=options,
        versions=_versions(),
        **values,
    )
    write_atomically(folder / "model_card.md", card.encode("utf-8", "replace"))


def _versions() -> dict[str, str]:
    packages = {package: version(package) for package in ("torch", "torchvision", "lightning")}
    return {"crack_lightning": __version__, "Python": platform.python_version(), **packages}


def _licence(source: str) -> str:
    """Returns the licence of weights from `source`."""
    known = next((licence for prefix, licence in LICENCES.items() if source.startswith(prefix)), None)
    return f"{known}, {TRAINED_ON}" if known else OWNER


def _described(data: CrackDataModule) -> DataFacts:
    if (layout := LAYOUTS.get(data.options.layout)) is not None:
        return DataFacts(layout.title, f"{layout.citation}, {layout.url}.", layout.licence)
    if data.options.surfaces is not None:
        citation = "Surfaces drawn by crack_lightning: no building's."
        return DataFacts("synthetic surfaces", citation, "MIT, as the program that drew them")
    name = data.root.name if data.root is not None else "photographs"
    return DataFacts(name, "Photographs of the user's own.", OWNER)


def worst_groups(groups: Sequence[str], wrong: Sequence[bool], *, most: int) -> list[GroupErrors]:
    """Returns up to `most` groups with the most errors, of equal ones the larger share first; none without errors."""
    images = Counter(groups)
    errors = Counter(group for group, error in zip(groups, wrong, strict=True) if error)
    ranked = [GroupErrors(group, images[group], count) for group, count in errors.items()]
    return sorted(ranked, key=lambda group: (-group.wrong, -group.wrong / group.images, group.group))[:most]


def _failures(judged: JudgedSamples, root: Path | None) -> list[Failure]:
    """Returns the errors that the classifier was surest of."""
    distance = (judged.probabilities - judged.targets).abs()
    wrong = judged.predicted != judged.targets
    ranked = [k for k in distance.argsort(descending=True, stable=True).tolist() if wrong[k]]
    failures = []
    for k in ranked[:MOST_FAILURES]:
        path = judged.samples[k].path
        shown_path = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
        truth, probability = judged.decision.negative_first[int(judged.targets[k])], judged.probabilities[k].item()
        failures.append(Failure(shown_path.as_posix(), truth, probability))
    return failures
