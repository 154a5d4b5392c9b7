"""python -m crack_lightning.evaluate: a checkpoint's figures on a folder of photographs, or several on several."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from crack_lightning.cli.command import command, plain, run_folder
from crack_lightning.system.arguments import literal
from crack_lightning.system.files import expanded

if TYPE_CHECKING:
    from crack_lightning.models.classifier import CrackClassifier
    from crack_lightning.report.matrix import Cell
    from crack_lightning.runs.folder import Judged

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> dict[str, float]:
    """Judge checkpoints on class folders; leaves metrics, predictions and figures in the run folder.

    The metrics of one checkpoint on one folder; of several none, which stand in the matrix.
    """
    from crack_lightning.models.checkpoint import classifier_from, read_checkpoint
    from crack_lightning.runs.judging import images_of, judge, leave_judgement

    options = plain(cfg)
    data = options["data"]
    checkpoints, roots = _checkpoints(options["ckpt_path"]), _roots(data)
    if len(checkpoints) > 1 or data["roots"]:
        _matrix(checkpoints, roots, options)
        return {}
    checkpoint = read_checkpoint(*checkpoints.values())
    classifier = classifier_from(checkpoint, *checkpoints.values())
    _check(options, classifier)
    folder, root = run_folder(), next(iter(roots.values()))
    samples = images_of(root, data, classifier, folder, split=data["split"])
    _warn_of_training_data(root, data, checkpoint)
    judged, metrics = judge(classifier, samples, data, device=options["device"], engine=options["engine"])
    leave_judgement(folder, judged, metrics)
    for name, value in sorted(metrics.items()):
        log.info("%s %.4f", name, value)
    log.info("%d images judged: %s", len(samples), folder)
    return metrics


def _matrix(checkpoints: Mapping[str, Path], roots: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    """Every checkpoint on every folder; of images that it learned from, those of its own test."""
    from crack_lightning.models.checkpoint import load_classifier
    from crack_lightning.report.matrix import nothing_left
    from crack_lightning.runs.judging import held_out, images_of, judge, leave_judgement

    data, folder, cells = options["data"], run_folder(), []
    if data["split"] is not None or data["split_csv"] is not None:
        raise ValueError("data.split and data.split_csv are for one checkpoint and data.root, not for data.roots")
    classifiers = {name: load_classifier(path) for name, path in checkpoints.items()}
    for classifier in classifiers.values():
        _check(options, classifier)
    found = {
        (name, where): images_of(root, data, classifier, folder / name / where, split=None)
        for name, classifier in classifiers.items()
        for where, root in roots.items()
    }
    for (name, where), samples in found.items():
        kept, own = held_out(samples, checkpoints[name])
        if not kept:
            log.warning("%s learned from all of %s: there is nothing left to judge it on", name, where)
            cells.append(nothing_left(name, where))
            continue
        judged, metrics = judge(classifiers[name], kept, data, device=options["device"], engine=options["engine"])
        leave_judgement(folder / name / where, judged, metrics)
        cells.append(_cell(name, where, judged, own=own))
        log.info("%s on %s: %d images%s, F1 %.3f", name, where, len(kept), " held out" * own, cells[-1].figures["f1"])
    _leave_matrix(folder, cells)
    log.info("%d checkpoints on %d data sets: %s", len(checkpoints), len(roots), folder / "matrix.md")


def _cell(name: str, where: str, judged: "Judged", *, own: bool) -> "Cell":
    from crack_lightning.evaluation.intervals import bootstrap_intervals, figures_of
    from crack_lightning.report.matrix import Cell

    groups, facts = [sample.group for sample in judged.samples], (judged.probabilities, judged.targets)
    return Cell(
        checkpoint=name,
        data=where,
        images=len(groups),
        cracked=int(judged.targets.sum()),
        groups=len(set(groups)),
        threshold=judged.decision.threshold,
        held_out=own,
        figures=figures_of(*facts, judged.decision),
        intervals=bootstrap_intervals(*facts, groups, judged.decision),
    )


def _leave_matrix(folder: Path, cells: "Sequence[Cell]") -> None:
    """matrix.csv, matrix.json, matrix.md, figures/matrix.png and TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    from crack_lightning.report.matrix import matrix_figure, matrix_markdown, matrix_rows
    from crack_lightning.runs.folder import drawn, write_figures
    from crack_lightning.system.files import write_atomically, write_csv

    write_csv(folder / "matrix.csv", *matrix_rows(cells))
    text = json.dumps([_without_nan(asdict(cell)) for cell in cells], indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "matrix.json", text.encode("utf-8", "surrogateescape"))
    table = matrix_markdown(cells)
    write_atomically(folder / "matrix.md", table.encode("utf-8", "surrogateescape"))
    figure = matrix_figure(cells)
    write_figures(folder, drawn({"matrix": figure}))
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        writer.add_figure("matrix", matrix_figure(cells), close=False)
        writer.add_text("matrix", table)
        for cell in cells:
            for name, value in cell.figures.items():
                writer.add_scalar(f"{cell.checkpoint}/{cell.data}/{name}", value)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def _checkpoints(given: Any) -> dict[str, Path]:
    """Name to path: of a mapping, a list, one path, or several with commas between them."""
    if isinstance(given, dict):
        return {str(name): expanded(str(path)) for name, path in given.items()}
    texts = [str(each) for each in given] if isinstance(given, list) else [str(given)]
    if len(texts) == 1 and not expanded(texts[0]).exists():
        texts = [each.strip() for each in texts[0].split(",")]
    paths = [expanded(each) for each in texts]
    return dict(zip(_names(paths), paths, strict=True))


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names that differ: of a run folder's checkpoint that of the run, else more of the path."""
    most = max(len(path.parts) for path in paths)
    for depth in range(1, most + 1):
        names = ["-".join(part for part in _telling(path)[-depth:]) for path in paths]
        if len(set(names)) == len(paths):
            return names
    raise ValueError(f"ckpt_path names {paths[0]} twice")


def _telling(path: Path) -> list[str]:
    parts = [part for part in path.absolute().parts[1:-1] if part != "checkpoints"]
    return [*parts, *([] if path.name == "best.ckpt" else [path.stem])]


def _roots(data: Mapping[str, Any]) -> dict[str, Path]:
    if (data["root"] is None) != bool(data["roots"]):
        raise ValueError("give data.root=FOLDER, or data.roots={name:FOLDER,other:FOLDER} for a matrix")
    if not isinstance(data["roots"], dict | type(None)):
        raise ValueError(f"data.roots={data['roots']}: folders by name, data.roots={{name:FOLDER,other:FOLDER}}")
    named = data["roots"] or {Path(data["root"]).name: data["root"]}
    for name in named:
        if "/" in name or name in (".", ".."):
            raise ValueError(f"data.roots: {name!r} is to be a folder's name: leave out what a path is made of")
    return {name: expanded(str(root)).absolute() for name, root in named.items()}


def _check(options: Mapping[str, Any], classifier: "CrackClassifier") -> None:
    from crack_lightning.data.batches.loading import check_loading
    from crack_lightning.engines.engines import check_engine

    check_engine(options["engine"])
    data = options["data"]
    check_loading(
        batch_size=data["batch_size"],
        num_workers=data["num_workers"],
        on_error=data["on_error"],
    )


def _warn_of_training_data(root: Path, data: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    from crack_lightning.models.checkpoint import FACTS_KEY

    if checkpoint[FACTS_KEY]["provenance"].get("data_root") == str(root) and data["split"] is None:
        log.warning(
            "the checkpoint was trained on photographs of this folder: its figures here are too good. "
            "For those held out give data.split=test data.split_csv=<run folder>/split.csv"
        )


def listed(arguments: Sequence[str]) -> list[str]:
    """Arguments with ckpt_path=a,b, which would be a sweep, as the list ckpt_path=[a,b] unless it is one."""
    if {"-m", "--multirun"} & set(arguments):
        return list(arguments)
    return [_listed(argument) for argument in arguments]


def _listed(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key != "ckpt_path" or "," not in value or value[0] in "[{'\"":
        return argument
    return f"ckpt_path={literal([each.strip() for each in value.split(',')])}"


def main() -> None:
    sys.argv[1:] = listed(sys.argv[1:])
    command(evaluate, config_name="evaluate", needs="torchvision")


if __name__ == "__main__":
    main()
