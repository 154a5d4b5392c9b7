"""Writes the files of an evaluation into its run folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from crack_lightning.evaluation.predictions import JudgedSamples
from crack_lightning.system.files import write_atomically, write_csv


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Writes metrics.json: numbers by name."""
    write_atomically(folder / "metrics.json", (json.dumps(metrics, indent=2, sort_keys=True) + "\n").encode())


def write_unreadable(folder: Path, unreadable: Mapping[Path, str]) -> None:
    """Writes unreadable.csv, unless `unreadable` (reasons by path) is empty."""
    if unreadable:
        write_csv(folder / "unreadable.csv", ["path", "reason"], list(unreadable.items()))


def write_predictions(folder: Path, judged: JudgedSamples) -> None:
    """Writes predictions.csv, one row per sample; `probability` is that of the positive class, `review` is 0 or 1."""
    decision, names = judged.decision, judged.decision.negative_first
    rows = [
        [
            sample.path,
            names[target],
            decision.predicted(probability),
            f"{probability:.6f}",
            int(decision.needs_review(probability)),
        ]
        for sample, target, probability in zip(
            judged.samples, judged.targets.tolist(), judged.probabilities.tolist(), strict=True
        )
    ]
    write_csv(folder / "predictions.csv", ["path", "label", "predicted", "probability", "review"], rows)


def write_figures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Writes figures/<name>.png."""
    for name, picture in pictures.items():
        write_atomically(folder / "figures" / f"{name}.png", picture)
