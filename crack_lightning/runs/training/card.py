"""Writes the model card of a training run, in the layout of Hugging Face's model cards (Mitchell et al. 2019)."""

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

MAX_GROUPS, MAX_FAILURES = 5, 8  # rows in the card's tables
OWNERS_LICENCE = "as their owner says"
IMAGENET_TERMS = "trained on ImageNet, whose pictures are for research"
# Licences of backbones, by how the source of their weights begins.
LICENCES = {"torch cache": "BSD-3-Clause (torchvision)", "download": "BSD-3-Clause (torchvision)", "package": "MIT"}
HUB_METRICS = {  # from a metric of the test to the name that model hubs give it
    **{"recall": "recall", "precision": "precision", "accuracy": "accuracy", "f1": "f1", "auroc": "roc_auc"},
    **{"cells_f1": "f1", "cells_precision": "precision", "cells_recall": "recall", "pixels_iou": "mean_iou"},
}


@dataclass(frozen=True)
class DataFacts:
    """The facts about a data set on the card."""

    name: str
    citation: str
    licence: str


@dataclass(frozen=True)
class Failure:
    """A test image that is predicted wrongly: its true class, and the probability (0..1) of the positive class."""

    path: str
    truth: str
    probability: float


@dataclass(frozen=True)
class GroupErrors:
    """A group of test images: how many there are (`images`), and how many are predicted wrongly (`wrong`)."""

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
    """Writes model_card.md into the run folder, for a network that was tested on labelled pictures."""
    network = judged.network
    wrong = (judged.predicted != judged.targets).tolist()
    groups = [sample.group for sample in judged.samples]
    has_groups = 1 < len(set(groups)) < len(groups)
    _write_from_template(
        folder,
        "patch_card.md",
        network,
        options,
        metrics,
        data=_data_facts(data),
        counts={
            split: Counter(data.class_names[label] for label in sorted(sample.label for sample in samples))
            for split, samples in data.splits.items()
        },
        frozen=not any(parameter.requires_grad for parameter in network.features.parameters()),
        groups=worst_groups(groups, wrong, most=MAX_GROUPS) if has_groups else [],
        failures=_failures(judged, data.root),
        errors=sum(wrong),
    )


def write_mask_card(
    folder: Path,
    network: CrackMap,
    evaluated: Sequence[EvaluatedPhotograph],
    counts: Mapping[str, int],
    metrics: Mapping[str, float],
    options: TrainOptions,
    *,
    tolerance: int,
) -> None:
    """Writes model_card.md into the run folder, for a map that was trained on photographs with masks.

    `counts` has the count of photographs in each split, `tolerance` is in cells.
    """
    _write_from_template(
        folder,
        "mask_card.md",
        network,
        options,
        metrics,
        data=DataFacts(Path(str(options.data.root)).name, "", OWNERS_LICENCE),
        counts=counts,
        tolerance=tolerance,
        worst=sorted(evaluated, key=lambda photograph: photograph.counts.cells.f1)[:MAX_FAILURES],
    )


def _write_from_template(
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
            {"type": hub_name, "name": f"test {name}", "value": round(metrics[f"test/{name}"], 6)}
            for name, hub_name in HUB_METRICS.items()
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
    """Returns the licence of a backbone's weights that came from `source`."""
    licence_known = next((licence for prefix, licence in LICENCES.items() if source.startswith(prefix)), None)
    return f"{licence_known}, {IMAGENET_TERMS}" if licence_known else OWNERS_LICENCE


def _data_facts(data: CrackDataModule) -> DataFacts:
    if (layout := LAYOUTS.get(data.options.layout)) is not None:
        return DataFacts(layout.title, f"{layout.citation}, {layout.url}.", layout.licence)
    if data.options.surfaces is not None:
        citation = "Surfaces drawn by crack_lightning: no building's."
        return DataFacts("synthetic surfaces", citation, "MIT, as the program that drew them")
    name = data.root.name if data.root is not None else "photographs"
    return DataFacts(name, "Photographs of the user's own.", OWNERS_LICENCE)


def worst_groups(groups: Sequence[str], wrong: Sequence[bool], *, most: int) -> list[GroupErrors]:
    """Returns up to `most` groups with the most errors; where counts are equal, the larger share of errors comes first.

    Groups without errors are left out.
    """
    images = Counter(groups)
    errors = Counter(group for group, error in zip(groups, wrong, strict=True) if error)
    ranked = [GroupErrors(group, images[group], count) for group, count in errors.items()]
    return sorted(ranked, key=lambda group: (-group.wrong, -group.wrong / group.images, group.group))[:most]


def _failures(judged: JudgedSamples, root: Path | None) -> list[Failure]:
    """Returns the wrongly predicted test images of which the classifier was surest, the surest first."""
    distance = (judged.probabilities - judged.targets).abs()
    wrong = judged.predicted != judged.targets
    ranked = [k for k in distance.argsort(descending=True, stable=True).tolist() if wrong[k]]
    failures = []
    for k in ranked[:MAX_FAILURES]:
        path = judged.samples[k].path
        shown_path = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
        truth, probability = judged.decision.negative_first[int(judged.targets[k])], judged.probabilities[k].item()
        failures.append(Failure(shown_path.as_posix(), truth, probability))
    return failures
