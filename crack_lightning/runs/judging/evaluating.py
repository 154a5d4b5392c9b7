"""Evaluates checkpoints on folders of photographs: one checkpoint on one folder, or a matrix."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional

from crack_lightning.data.options import JudgedDataOptions
from crack_lightning.data.samples.layouts import MASKED
from crack_lightning.data.samples.listing import Sample
from crack_lightning.errors import UserError
from crack_lightning.evaluation.intervals import bootstrap_intervals, figures_of
from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.evaluation.predictions import JudgedSamples, confidence_metrics
from crack_lightning.inference.patch_scores import judge_patches
from crack_lightning.inference.patches import Judging, pick_device
from crack_lightning.models.crack_map import Network
from crack_lightning.models.map_checkpoint import load_network, load_with_provenance
from crack_lightning.report.matrix import Cell, empty_cell, matrix_figure, matrix_markdown, matrix_rows
from crack_lightning.runs.judging.evaluation_images import find_images, held_out_samples, warn_of_training_data
from crack_lightning.runs.judging.mask_evaluation import evaluate_on_masks
from crack_lightning.runs.judging.options import EvaluateOptions
from crack_lightning.runs.judging.run_figures import evaluation_figures, png_bytes
from crack_lightning.runs.judging.run_files import write_figures, write_metrics, write_predictions
from crack_lightning.system.files import expanded, write_atomically, write_csv

log = logging.getLogger(__name__)

PACKAGE_NAME = "package"  # names the package's crack map in a matrix


def evaluate_checkpoints(options: EvaluateOptions, folder: Path) -> dict[str, float]:
    """Evaluates checkpoints on class folders or on photographs with masks, and writes the results into `folder`.

    Returns the metrics of one checkpoint on one folder, but no metrics for several: these are in the matrix. Raises
    UserError or OSError if a checkpoint or folder cannot be used.
    """
    checkpoints = _checkpoints(options.ckpt_path)
    if options.data.layout == MASKED:
        if len(checkpoints) > 1:
            raise UserError("data=masks evaluates one checkpoint at a time: give one ckpt_path")
        return evaluate_on_masks(next(iter(checkpoints.values())), options, folder)
    if len(checkpoints) > 1 or options.data.roots:
        root = Path(str(options.data.root))
        roots = {name: Path(path) for name, path in options.data.roots.items()} or {root.name: root}
        _evaluate_matrix(checkpoints, roots, options, folder)
        return {}
    return _evaluate_one(next(iter(checkpoints.values())), Path(str(options.data.root)), options, folder)


def _evaluate_one(path: Path | None, root: Path, options: EvaluateOptions, folder: Path) -> dict[str, float]:
    network, provenance = load_with_provenance(path)
    samples = find_images(root, options.data, network.decision, folder, split=options.data.split)
    warn_of_training_data(root, options.data, provenance)
    judged, metrics = evaluate_network(network, samples, options.data, device=options.device, engine=options.engine)
    write_evaluation(folder, judged, metrics)
    for name, value in sorted(metrics.items()):
        log.info("%s %.4f", name, value)
    log.info("%d images evaluated: %s", len(samples), folder)
    return metrics


def _evaluate_matrix(
    checkpoints: Mapping[str, Path | None], roots: Mapping[str, Path], options: EvaluateOptions, folder: Path
) -> None:
    """Evaluates every checkpoint on every folder, but on a data set of its training only with its test images."""
    networks, cells = {name: load_network(path) for name, path in checkpoints.items()}, []
    images = {
        (name, data_set): find_images(root, options.data, network.decision, folder / name / data_set, split=None)
        for name, network in networks.items()
        for data_set, root in roots.items()
    }
    for (name, data_set), samples in images.items():
        usable, trained_here = held_out_samples(samples, checkpoints[name])
        if not usable:
            log.warning("%s was trained on all of %s: no images are left to evaluate it on", name, data_set)
            cells.append(empty_cell(name, data_set))
            continue
        judged, metrics = evaluate_network(
            networks[name], usable, options.data, device=options.device, engine=options.engine
        )
        write_evaluation(folder / name / data_set, judged, metrics)
        cells.append(_matrix_cell(name, data_set, judged, held_out=trained_here))
        log.info(
            "%s on %s: %d images%s, F1 %.3f",
            name,
            data_set,
            len(usable),
            " held out" * trained_here,
            cells[-1].figures["f1"],
        )
    _write_matrix(folder, cells)
    log.info("%d checkpoints on %d data sets: %s", len(checkpoints), len(roots), folder / "matrix.md")


def evaluate_network(
    network: Network, samples: Sequence[Sample], data: JudgedDataOptions, *, device: str, engine: str
) -> tuple[JudgedSamples, dict[str, float]]:
    """Evaluates `network`; returns the samples with their probabilities, and metrics `test/<name>` with intervals."""
    judging = Judging(data.batch_size, data.num_workers, pick_device(device), engine, data.max_megapixels)
    result = judge_patches(network, [sample.path for sample in samples], judging)
    if unread := [error for error in result.errors if error]:
        raise UserError(unread[0])
    judged = JudgedSamples(network, samples, network.positive_probabilities(result.logits))
    return judged, metrics_of(judged, result.logits, "test") | confidence_metrics(judged, seed=0)


def metrics_of(judged: JudgedSamples, logits: Tensor, split: str) -> dict[str, float]:
    """Returns metrics as `<split>/<name>`, with the loss of `logits` (N, 2), which the temperature does not divide."""
    collection = binary_metrics(judged.decision, prefix=f"{split}/")
    metrics = {name: value.item() for name, value in collection(judged.probabilities, judged.targets).items()}
    labels = judged.targets.new_tensor([sample.label for sample in judged.samples])
    return metrics | {f"{split}/loss": functional.cross_entropy(logits, labels).item()}


def write_evaluation(folder: Path, judged: JudgedSamples, metrics: Mapping[str, float]) -> None:
    """Writes metrics.json, predictions.csv and figures/ into `folder`."""
    write_metrics(folder, metrics)
    write_predictions(folder, judged)
    write_figures(folder, png_bytes(evaluation_figures(judged, metrics)))


def _matrix_cell(name: str, data_set: str, judged: JudgedSamples, *, held_out: bool) -> Cell:
    groups, facts = [sample.group for sample in judged.samples], (judged.probabilities, judged.targets)
    return Cell(
        checkpoint=name,
        data=data_set,
        images=len(groups),
        cracked=int(judged.targets.sum()),
        groups=len(set(groups)),
        threshold=judged.decision.threshold,
        held_out=held_out,
        figures=figures_of(*facts, judged.decision),
        intervals=bootstrap_intervals(*facts, groups, judged.decision),
    )


def _write_matrix(folder: Path, cells: Sequence[Cell]) -> None:
    """Writes matrix.csv, matrix.json, matrix.md, figures/matrix.png and a TensorBoard log."""
    from torch.utils.tensorboard import SummaryWriter

    write_csv(folder / "matrix.csv", *matrix_rows(cells))
    text = json.dumps([_without_nan(asdict(cell)) for cell in cells], indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "matrix.json", text.encode("utf-8", "surrogateescape"))
    table = matrix_markdown(cells)
    write_atomically(folder / "matrix.md", table.encode("utf-8", "surrogateescape"))
    figure = matrix_figure(cells)
    write_figures(folder, png_bytes({"matrix": figure}))
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        writer.add_figure("matrix", matrix_figure(cells), close=False)
        writer.add_text("matrix", table)
        for cell in cells:
            for name, value in cell.figures.items():
                writer.add_scalar(f"{cell.checkpoint}/{cell.data}/{name}", value)


def _without_nan(value: Any) -> Any:
    """Returns the value with None in place of each NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def _checkpoints(ckpt_path: Any) -> dict[str, Path | None]:
    """Returns the paths of checkpoints by name; a path of None stands for the package's crack map.

    `ckpt_path` is a mapping, a list, one path, several paths with commas, or None.
    """
    if ckpt_path is None:
        return {PACKAGE_NAME: None}
    if isinstance(ckpt_path, dict):
        return {str(name): None if path is None else expanded(str(path)) for name, path in ckpt_path.items()}
    given = ckpt_path if isinstance(ckpt_path, list) else [str(ckpt_path)]
    if len(given) == 1 and not expanded(str(given[0])).exists():
        given = [text.strip() for text in str(given[0]).split(",")]
    paths = [expanded(str(path)) for path in given if path is not None]
    package: dict[str, Path | None] = {PACKAGE_NAME: None} if None in given else {}
    return {**dict(zip(_short_names(paths), paths, strict=True)), **package}


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Returns distinct names, as much of each path's end as that takes, without checkpoints/ and best.ckpt."""
    if not paths:
        return []
    deepest = max(len(path.parts) for path in paths)
    for depth in range(1, deepest + 1):
        names = ["-".join(part for part in _naming_parts(path)[-depth:]) for path in paths]
        if len(set(names)) == len(paths):
            return names
    raise UserError(f"ckpt_path names {paths[0]} twice")


def _naming_parts(path: Path) -> list[str]:
    parts = [part for part in path.absolute().parts[1:-1] if part != "checkpoints"]
    return [*parts, *([] if path.name == "best.ckpt" else [path.stem])]
