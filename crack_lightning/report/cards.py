"""What a reader of a checkpoint must know, in the layout of Hugging Face's model cards (Mitchell et al. 2019)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

FIGURES = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auroc", "average_precision", "ece", "brier")
NAMED = {"recall": "recall", "precision": "precision", "accuracy": "accuracy", "f1": "f1", "auroc": "roc_auc"}


@dataclass(frozen=True)
class DataFacts:
    """The data set, in words; `counts` is images by class in each split."""

    name: str
    citation: str
    licence: str
    grouped_by: str
    counts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class ModelFacts:
    """The network and how it was trained, in words, by name; `taken`: what is done to a picture's size."""

    name: str
    weights: str
    weights_licence: str
    taken: str
    class_names: Sequence[str]
    positive_class: str
    training: Mapping[str, object]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Failure:
    """A test image that is called wrong: `probability` of the positive class, 0..1."""

    path: str
    truth: str
    probability: float


@dataclass(frozen=True)
class GroupErrors:
    """Of `images` test images of a group `wrong` are called wrong."""

    group: str
    images: int
    wrong: int


def worst_groups(groups: Sequence[str], wrong: Sequence[bool], *, most: int) -> list[GroupErrors]:
    """Groups with the most errors, those where a larger share is wrong first among equals; none without errors."""
    images: dict[str, int] = {}
    errors: dict[str, int] = {}
    for group, error in zip(groups, wrong, strict=True):
        images[group] = images.get(group, 0) + 1
        errors[group] = errors.get(group, 0) + bool(error)
    found = [GroupErrors(group, images[group], count) for group, count in errors.items() if count]
    return sorted(found, key=lambda each: (-each.wrong, -each.wrong / each.images, each.group))[:most]


def model_card(
    *,
    data: DataFacts,
    model: ModelFacts,
    metrics: Mapping[str, float],
    groups: Sequence[GroupErrors],
    failures: Sequence[Failure],
    errors: int,
) -> str:
    """The card in Markdown, its metadata in front. `metrics` as a run's metrics.json has them."""
    parts = [
        front_matter("image-classification", model.name, data.name, results_of(metrics, NAMED)),
        f"# {model.name}: cracks in {data.name}",
        f"Distinguishes {' from '.join(f'`{name}`' for name in model.class_names)} in pictures of concrete, "
        f"{model.taken}; `{model.positive_class}` is cracked. A run of crack_lightning.",
        "## Intended use",
        "To sort pictures of concrete surfaces, photographed as those below were, for a person who inspects the "
        "structure. Not to decide alone on safety, nor on surfaces, distances or cameras that it was not tested on: a "
        "figure below holds for images like the test images, and falls on another site. Cracks narrower than a pixel "
        "are not seen.",
        "## Data",
        _data(data, metrics),
        "## Figures of the test",
        _figures(metrics),
        "## Confidence",
        _confidence(metrics),
        "## Where it fails",
        _failures(groups, failures, errors, sum(data.counts.get("test", {}).values())),
        "## Training",
        table(("", ""), [(name, str(value)) for name, value in model.training.items()]),
        "## Licences",
        f"Data: {data.licence}. Weights of the backbone: {model.weights}, {model.weights_licence}. "
        "Program: crack_lightning, MIT.",
        "## Environment",
        ", ".join(f"{name} {version}" for name, version in model.versions.items()),
    ]
    return "\n\n".join(parts) + "\n"


def results_of(metrics: Mapping[str, float], named: Mapping[str, str]) -> list[dict[str, object]]:
    """The metrics of the test that are `named`, each with its type on a hub, for `front_matter`."""
    return [
        {"type": kind, "name": f"test {name}", "value": round(metrics[f"test/{name}"], 6)}
        for name, kind in named.items()
        if f"test/{name}" in metrics
    ]


def front_matter(task: str, model: str, data: str, results: Sequence[Mapping[str, object]]) -> str:
    """The metadata of a card, by which a hub lists it; `results` have type, name and value."""
    facts: dict[str, object] = {
        "library_name": "crack_lightning",
        "pipeline_tag": task,
        "license": "other",
        "license_name": "see-licences",
        "tags": [task, "concrete", "crack-detection", "pytorch", "lightning"],
        "metrics": [str(each["type"]) for each in results],
        "model-index": [
            {
                "name": model,
                "results": [
                    {
                        "task": {"type": task},
                        "dataset": {"name": data, "type": "image-folder", "split": "test"},
                        "metrics": [dict(each) for each in results],
                    }
                ],
            }
        ],
    }
    if not results:
        del facts["metrics"], facts["model-index"]
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---"


def _data(data: DataFacts, metrics: Mapping[str, float]) -> str:
    classes = list(dict.fromkeys(name for counts in data.counts.values() for name in counts))
    rows = [(split, *(str(counts.get(name, 0)) for name in classes)) for split, counts in data.counts.items()]
    leaks = [
        f"{int(value)} test images have {name.removeprefix('split/test_images_with_').replace('_', ' ')}."
        for name, value in metrics.items()
        if name.startswith("split/test_images_with_")
    ]
    parts = [
        f"{data.name}. {data.citation}".strip(),
        table(("split", *classes), rows),
        f"What a split never tears apart: {data.grouped_by}. {' '.join(leaks)}".strip(),
    ]
    return "\n\n".join(parts)


def _figures(metrics: Mapping[str, float]) -> str:
    rows = []
    for name in FIGURES:
        value, low, high = (metrics.get(f"test/{name}{side}") for side in ("", "_low", "_high"))
        if value is not None:
            interval = "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
            rows.append((name, f"{value:.4f}", interval))
    note = "The intervals are 95 % bootstrap intervals that draw whole groups: of such images, not of other sites."
    if not any(interval for _, _, interval in rows):
        note = "All test images are of one group: it is unknown how much the metrics would change on another."
    return f"{table(('figure', 'value', 'interval'), rows)}\n\n{note}"


def _confidence(metrics: Mapping[str, float]) -> str:
    parts = [f"Predicted cracked from probability {metrics['threshold']:.4f} on."] if "threshold" in metrics else []
    if "temperature" in metrics:
        parts.append(f"Logits are divided by the temperature {metrics['temperature']:.3f}, fitted on validation.")
    if "review/low" in metrics:
        parts.append(
            f"Needs review: probabilities from {metrics['review/low']:.4f} to {metrics['review/high']:.4f}, "
            f"{metrics.get('review/test_share', 0):.1%} of the test; of the rest "
            f"{metrics.get('review/test_error_rate', 0):.2%} is predicted wrongly."
        )
    return " ".join(parts) or "Not calibrated: validation was limited."


def _failures(groups: Sequence[GroupErrors], failures: Sequence[Failure], errors: int, tested: int) -> str:
    if not errors:
        return f"None of the {tested} test images is called wrong, which says more of the test than of the model."
    parts = [f"{errors} of {tested} test images are called wrong; `figures/worst_errors.png` shows them."]
    if groups:
        rows = [(each.group, str(each.images), str(each.wrong)) for each in groups]
        parts += ["Groups with the most errors:", table(("group", "images", "wrong"), rows)]
    rows = [(each.path, each.truth, f"{each.probability:.4f}") for each in failures]
    parts += ["The surest errors:", table(("image", "truth", "probability of a crack"), rows)]
    return "\n\n".join(parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    # A name may hold anything; a table's row is one line.
    safe = text.encode("utf-8", "replace").decode()
    return safe.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").replace("\r", " ")
