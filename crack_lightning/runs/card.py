"""The model card of a training run, from what the run knows."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from crack_lightning import __version__
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.layouts import LAYOUTS
from crack_lightning.evaluation.predictions import Judged
from crack_lightning.models.crack_map import CrackMap, Network
from crack_lightning.report.cards import DataFacts, Failure, ModelFacts, model_card, worst_groups
from crack_lightning.report.mask_card import PhotographScore, mask_card
from crack_lightning.runs.mask_judging import JudgedPhotograph
from crack_lightning.runs.options import TrainOptions
from crack_lightning.system.files import write_atomically

MOST_GROUPS, MOST_FAILURES = 5, 8
TRAINED_ON = "trained on ImageNet, whose pictures are for research"
LICENCES = {"torch cache": "BSD-3-Clause (torchvision)", "download": "BSD-3-Clause (torchvision)", "package": "MIT"}
GROUPED = {
    "file": "nothing but the file itself",
    "folder": "the folder below the class folder",
    "photograph": "the photograph that a picture was cut from",
    "near_duplicates": "near copies of each other",
    "overlap": "copies and crops that share a part",
}


def write_card(
    folder: Path,
    judged: Judged,
    data: CrackDataModule,
    options: TrainOptions,
    metrics: Mapping[str, float],
) -> None:
    """model_card.md in the run folder."""
    wrong = (judged.predicted != judged.targets).tolist()
    groups = [sample.group for sample in judged.samples]
    whole = 1 < len(set(groups)) < len(groups)
    card = model_card(
        data=_data(data),
        model=_model(judged.network, options, metrics),
        metrics=metrics,
        groups=worst_groups(groups, wrong, most=MOST_GROUPS) if whole else [],
        failures=_failures(judged, data.root),
        errors=sum(wrong),
    )
    write_atomically(folder / "model_card.md", card.encode("utf-8", "replace"))


def _data(data: CrackDataModule) -> DataFacts:
    counts = {
        split: {data.class_names[label]: count for label, count in sorted(Counter(s.label for s in samples).items())}
        for split, samples in data.splits.items()
    }
    known = LAYOUTS.get(data.options.layout)
    grouped = GROUPED.get(data.options.group_by, f"what data.group_by={data.options.group_by} says")
    if data.options.folds is not None:
        grouped += f" (fold {data.options.fold} of {data.options.folds})"
    if known is not None:
        return DataFacts(known.title, f"{known.citation}, {known.url}.", known.licence, grouped, counts)
    if data.options.surfaces is not None:
        told = "Surfaces drawn by crack_lightning: no building's."
        return DataFacts("synthetic surfaces", told, "MIT, as the program that drew them", grouped, counts)
    name = data.root.name if data.root is not None else "photographs"
    return DataFacts(name, "Photographs of the user's own.", "as their owner says", grouped, counts)


def _model(network: Network, options: TrainOptions, metrics: Mapping[str, float]) -> ModelFacts:
    name, source = network.weights.get("name", "null"), network.weights.get("source", "")
    random, is_map = name == "null", isinstance(network, CrackMap)
    side = options.data.image_size
    return ModelFacts(
        name=f"crack map of {network.backbone}" if is_map else f"{network.backbone} with a linear head",
        weights="random" if random else f"{network.backbone} {name} ({source})",
        weights_licence=_licence(source),
        taken="as they are" if is_map else f"stretched to {side}x{side} pixels",
        class_names=network.decision.class_names,
        positive_class=network.decision.positive_class,
        training=_of_map(network, options, metrics) if is_map else _of_classifier(network, options, metrics),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    packages = {package: version(package) for package in ("torch", "torchvision", "lightning")}
    return {"crack_lightning": __version__, "Python": platform.python_version(), **packages}


def _licence(source: str) -> str:
    """Of weights from `source`."""
    known = next((licence for begin, licence in LICENCES.items() if source.startswith(begin)), None)
    return f"{known}, {TRAINED_ON}" if known else "as their owner says"


def write_mask_card(
    folder: Path,
    network: CrackMap,
    judged: Sequence[JudgedPhotograph],
    counts: Mapping[str, int],
    metrics: Mapping[str, float],
    options: TrainOptions,
    *,
    tolerance: int,
) -> None:
    """model_card.md of a map that was trained on photographs with masks; `counts` is photographs by split."""
    name, source = network.weights.get("name", "null"), network.weights.get("source", "")
    ranked = sorted(judged, key=lambda each: each.counts.cells.f1)[:MOST_FAILURES]
    pull = metrics.get("masks/pull")
    card = mask_card(
        data=Path(str(options.data.root)).name,
        counts=counts,
        backbone=network.backbone,
        weights=f"{network.backbone} {name} ({source}), {_licence(source)}",
        metrics=metrics,
        tolerance=tolerance,
        training={
            "backbone": f"{network.backbone}, frozen",
            "head": "linear, on features at several depths, trained on drawn cracks and then on the cells of masks",
            "pull towards the drawn cracks": "the head stayed as it was" if pull is None else f"{pull:g}",
            "seed": options.seed,
        },
        worst=[_score(each) for each in ranked],
        versions=_versions(),
    )
    write_atomically(folder / "model_card.md", card.encode("utf-8", "replace"))


def _score(each: JudgedPhotograph) -> PhotographScore:
    cells = each.counts.cells
    return PhotographScore(each.masked.sample.path.name, cells.precision, cells.recall, cells.f1)


def _of_classifier(classifier: Network, options: TrainOptions, metrics: Mapping[str, float]) -> dict[str, object]:
    frozen = not any(parameter.requires_grad for parameter in classifier.features.parameters())
    return {
        "backbone": f"{classifier.backbone}, {'frozen' if frozen else 'learned too'}",
        "optimizer": f"{options.optimizer.name}, learning rate {options.optimizer.lr:g}",
        "batch size": options.data.batch_size,
        "epochs": f"{metrics['epochs']:.0f}, the best {metrics['best_epoch']:.0f}",
        "dropout": options.model.dropout,
        "class weights": options.task.class_weights or "none",
        "seed": options.seed,
    }


def _of_map(network: Network, options: TrainOptions, metrics: Mapping[str, float]) -> dict[str, object]:
    pull = metrics.get("patches/pull")
    return {
        "backbone": f"{network.backbone}, frozen",
        "head": "linear, on features at several depths, trained on drawn cracks and then on labelled patches",
        "pull towards the drawn cracks": "the head stayed as it was" if pull is None else f"{pull:g} labels",
        "seed": options.seed,
    }


def _failures(judged: Judged, root: Path | None) -> list[Failure]:
    """The errors that the classifier was surest of."""
    doubt = (judged.probabilities - judged.targets).abs()
    wrong = judged.predicted != judged.targets
    ranked = [k for k in doubt.argsort(descending=True, stable=True).tolist() if wrong[k]]
    found = []
    for k in ranked[:MOST_FAILURES]:
        path = judged.samples[k].path
        below = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
        truth, probability = judged.decision.negative_first[int(judged.targets[k])], judged.probabilities[k].item()
        found.append(Failure(below.as_posix(), truth, probability))
    return found
