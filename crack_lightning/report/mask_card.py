"""The model card of a crack map that was trained on photographs with masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crack_lightning.report.cards import front_matter, results_of, table

FIGURES = {
    "cells_f1": "F1 of cells",
    "cells_precision": "precision of cells",
    "cells_recall": "recall of cells",
    "cells_iou": "IoU of cells",
    "cells_average_precision": "average precision of cells",
    "pixels_f1": "F1 of pixels",
    "pixels_iou": "IoU of pixels",
}
MARKS = (
    "Marks the cells of 4 x 4 pixels that a crack runs through, in whole photographs; patches are judged as by the map "
    "that it began from. A run of crack_lightning."
)
INTENDED = (
    "To show a person who inspects a structure where to look, in photographs like those below. Not to decide alone on "
    "safety, nor on surfaces, distances or cameras that it was not tested on. A crack narrower than a pixel is not "
    "seen, and a photograph without a mark is no proof that there is no crack."
)
NAMED = {"cells_f1": "f1", "cells_precision": "precision", "cells_recall": "recall", "pixels_iou": "mean_iou"}


@dataclass(frozen=True)
class PhotographScore:
    """A test photograph and how well its cells are marked, each in 0..1."""

    path: str
    precision: float
    recall: float
    f1: float


def mask_card(
    *,
    data: str,
    counts: Mapping[str, int],
    backbone: str,
    weights: str,
    metrics: Mapping[str, float],
    tolerance: int,
    training: Mapping[str, object],
    worst: Sequence[PhotographScore],
    versions: Mapping[str, str],
) -> str:
    """The card in Markdown: `counts` is photographs by split, `weights` a name with its licence, `metrics` as
    metrics.json has them, `tolerance` in cells, `worst` the test photographs of the lowest F1."""
    name = f"crack map of {backbone}"
    failing = "The test photographs of the lowest F1; `figures/worst_photographs.png` shows them."
    parts = [
        front_matter("image-segmentation", name, data, results_of(metrics, NAMED)),
        f"# {name}: cracks in {data}",
        MARKS,
        "## Intended use",
        INTENDED,
        "## Data",
        f"{data}: photographs with masks of the user's own.",
        table(("split", "photographs"), [(split, str(count)) for split, count in counts.items()]),
        "## Figures of the test",
        _figures(metrics, tolerance),
        "## Where it fails",
        failing,
        table(("photograph", "precision", "recall", "F1"), [_row(score) for score in worst]),
        "## Training",
        table(("", ""), [(key, str(value)) for key, value in training.items()]),
        "## Licences",
        f"Data: as their owner says. Weights of the backbone: {weights}. Program: crack_lightning, MIT.",
        "## Environment",
        ", ".join(f"{package} {version}" for package, version in versions.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(metrics: Mapping[str, float], tolerance: int) -> str:
    rows = []
    for key, words in FIGURES.items():
        value, low, high = (metrics.get(f"test/{key}{side}") for side in ("", "_low", "_high"))
        if value is not None:
            rows.append((words, f"{value:.4f}", "" if low is None or high is None else f"{low:.4f} to {high:.4f}"))
    note = (
        f"A cell is right within {tolerance} cells of a mask's; IoU and pixels have no tolerance. The interval is a "
        "95 % bootstrap interval that draws whole groups: of such photographs, not of other sites."
    )
    return f"{table(('figure', 'value', 'interval'), rows)}\n\n{note}"


def _row(score: PhotographScore) -> tuple[str, ...]:
    return (score.path, *(f"{value:.3f}" for value in (score.precision, score.recall, score.f1)))
