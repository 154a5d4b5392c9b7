"""A checkpoint on a folder of photographs: which images it is judged on, and what comes of it."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crack_lightning.data.samples import Sample
    from crack_lightning.models.classifier import CrackClassifier
    from crack_lightning.run_folder import Judged

log = logging.getLogger(__name__)


def images_of(
    root: Path, data: Mapping[str, Any], classifier: "CrackClassifier", folder: Path, *, split: str | None
) -> "list[Sample]":
    """The photographs in `root` to judge on, checked; what could not be read is listed in `folder`.

    `split` is one of the three folders, or of `data.split_csv`; None takes all, or test/ where there are three folders.
    """
    from crack_lightning.data.checks import find_unreadable, unreadable_message
    from crack_lightning.data.samples import SPLITS, is_presplit
    from crack_lightning.run_folder import write_unreadable

    if split is not None and split not in SPLITS:
        raise ValueError(f"data.split={split}: one of {', '.join(SPLITS)}")
    if is_presplit(root):
        if data["split_csv"] is not None:
            raise ValueError(f"{root} is split into train/ val/ test/ already: leave data.split_csv out")
        split = split or "test"
        samples = _found(root / split, data, classifier, f"{split}/")
    else:
        if (split is None) != (data["split_csv"] is None):
            raise ValueError("data.split and data.split_csv belong together where data.root is not split already")
        samples = _found(root, data, classifier, "")
        if split is not None:
            samples = _of_split(samples, Path(data["split_csv"]).expanduser(), split, root)
    unreadable = find_unreadable([sample.path for sample in samples], decode=data["on_error"] == "skip")
    write_unreadable(folder, unreadable)
    if unreadable and data["on_error"] == "raise":
        raise ValueError(unreadable_message(unreadable))
    samples = [sample for sample in samples if sample.path not in unreadable]
    if not samples:
        raise ValueError(f"no image to judge is left in {root}")
    return samples


def _found(root: Path, data: Mapping[str, Any], classifier: "CrackClassifier", prefix: str) -> "list[Sample]":
    """All photographs, in the groups that intervals are drawn by."""
    from crack_lightning.data.groups import by_photograph, grouped
    from crack_lightning.data.layouts import OWN, check_layout, recognised
    from crack_lightning.data.samples import find_samples

    names, group_by = classifier.class_names, data["group_by"]
    layout = data["layout"] or recognised(root, names)
    check_layout(layout)
    samples = find_samples(root, names, layout=layout, positive_class=classifier.positive_class, group_prefix=prefix)
    if group_by is not None:
        return grouped(samples, group_by, root, layout=layout)
    return by_photograph(samples, root, recognised(root, []) if layout == OWN else layout)


def _of_split(samples: "Sequence[Sample]", table: Path, split: str, root: Path) -> "list[Sample]":
    from crack_lightning.data.splits import read_split

    groups = read_split(table, split)
    below = {sample.path.relative_to(root).as_posix(): sample for sample in samples}
    if gone := groups.keys() - below.keys():
        raise FileNotFoundError(
            f"{len(gone)} of {len(groups)} images of the {split} split are not in {root}, such as {min(gone)}: "
            f"give the folder that {table} was made from"
        )
    return [replace(sample, group=groups[name]) for name, sample in below.items() if name in groups]


def held_out(samples: "Sequence[Sample]", ckpt_path: Path) -> "tuple[list[Sample], bool]":
    """Of images that the checkpoint's run had those of its test, in the groups of its split; else all as they are.

    Looked up in the split.csv of the run folder, by path; by content where the photographs still lie where they did; by
    their place below the root where they were moved as a whole.
    """
    from crack_lightning.data.splits import read_split_rows

    table = ckpt_path.absolute().parent.parent / "split.csv"
    if not table.is_file():
        return list(samples), False
    known = _recognised(samples, read_split_rows(table))
    if not known:
        return list(samples), False
    kept = [sample for sample in samples if known.get(sample.path, ("test", ""))[0] == "test"]
    return [replace(each, group=known[each.path][1]) if each.path in known else each for each in kept], True


def _recognised(samples: "Sequence[Sample]", rows: Sequence[Mapping[str, str]]) -> dict[Path, tuple[str, str]]:
    """Split and group of those samples that were in it."""
    from crack_lightning.data.files import content_hash

    facts = {row["path"]: (row["split"], row["group"]) for row in rows}
    found = {sample.path: facts[str(sample.path)] for sample in samples if str(sample.path) in facts}
    if found:
        return found
    if there := [path for path in facts if Path(path).is_file()]:
        contents = {content_hash(Path(path)): facts[path] for path in there}
        hashes = {sample.path: content_hash(sample.path) for sample in samples}
        return {path: contents[digest] for path, digest in hashes.items() if digest in contents}
    was, now = (os.path.commonpath(paths) for paths in (list(facts), [str(sample.path) for sample in samples]))
    below = {os.path.relpath(path, was): each for path, each in facts.items()}
    places = {sample.path: os.path.relpath(sample.path, now) for sample in samples}
    # Other data sets number their files alike: only all of them are the same again.
    if not below.keys() <= set(places.values()):
        return {}
    return {path: below[place] for path, place in places.items() if place in below}


def judge(
    classifier: "CrackClassifier", samples: "Sequence[Sample]", data: Mapping[str, Any], *, device: str, engine: str
) -> "tuple[Judged, dict[str, float]]":
    """The classifier on `samples`: its probabilities, and its figures as `test/<name>` with their intervals."""
    from torch.nn import functional

    from crack_lightning.inference.patches import judge_files, pick_device
    from crack_lightning.report.metrics import binary_metrics
    from crack_lightning.run_folder import Judged, confidence_metrics

    loading = {key: data[key] for key in ("batch_size", "num_workers")}
    paths = [sample.path for sample in samples]
    found = judge_files(classifier, paths, **loading, device=pick_device(device), engine=engine)
    if unread := [error for error in found.errors if error]:
        raise ValueError(unread[0])
    logits = found.logits
    probabilities = classifier.probabilities(logits)[:, classifier.positive_index]
    judged = Judged(classifier.cpu(), samples, probabilities)
    collection = binary_metrics(classifier.threshold, prefix="test/")
    metrics = {name: value.item() for name, value in collection(probabilities, judged.targets).items()}
    labels = judged.targets.new_tensor([sample.label for sample in samples])
    metrics["test/loss"] = functional.cross_entropy(logits, labels).item()
    return judged, metrics | confidence_metrics(judged, seed=0)


def leave_judgement(folder: Path, judged: "Judged", metrics: Mapping[str, float]) -> None:
    """metrics.json, predictions.csv and figures/ in `folder`."""
    from crack_lightning import run_folder as files

    files.write_metrics(folder, metrics)
    files.write_predictions(folder, judged)
    files.write_figures(folder, files.drawn(files.judgement_figures(judged, metrics)))
