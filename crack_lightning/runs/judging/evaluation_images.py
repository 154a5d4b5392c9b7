"""Chooses the images that a checkpoint is evaluated on."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crack_lightning.data.images.checks import unreadable_message
from crack_lightning.data.options import JudgedDataOptions
from crack_lightning.data.samples.finding import UNSPLIT, find_dataset, keep_readable
from crack_lightning.data.samples.groups import assign_groups, group_by_photograph
from crack_lightning.data.samples.layouts import CLASS_FOLDERS, MASKED, TABLE, recognise_layout
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.masks import with_crack_labels
from crack_lightning.data.samples.presplit import split_folders
from crack_lightning.data.samples.splits import read_split, read_split_rows
from crack_lightning.errors import UserError
from crack_lightning.models.decision import Decision
from crack_lightning.runs.judging.run_files import write_unreadable
from crack_lightning.system.files import content_hash
from crack_lightning.system.names import matched
from crack_lightning.system.tables import Row

log = logging.getLogger(__name__)


def find_images(
    root: Path, data: JudgedDataOptions, decision: Decision, folder: Path, *, split: str | None
) -> list[Sample]:
    """Finds and checks the photographs in `root` to evaluate on; lists those that cannot be read in `folder`.

    `split` names a split of the data set or of `data.split_csv`. None means the test split, or all photographs if the
    data set is not split.
    """
    samples_by_split = _samples_by_split(root, data, decision, split or "test")
    if UNSPLIT not in samples_by_split:
        if data.split_csv is not None:
            how = "by a column of its table" if data.layout == TABLE else "into train/ val/ test/"
            raise UserError(f"{root} is split {how} already: leave data.split_csv out")
        samples = samples_by_split[split or "test"]
    else:
        if (split is None) != (data.split_csv is None):
            raise UserError(
                "data.split and data.split_csv belong together if data.root is not split already: give both"
            )
        samples = samples_by_split[UNSPLIT]
        if split is not None:
            samples = _samples_of_split(samples, Path(str(data.split_csv)), split, root)
    skip, megapixels = data.on_error == "skip", data.max_megapixels
    kept, unreadable = keep_readable(samples, skip=skip, megapixels=megapixels)
    write_unreadable(folder, unreadable)
    if unreadable and not skip:
        raise UserError(unreadable_message(unreadable))
    if unreadable:
        log.warning(
            "%d images cannot be read and are left out: %s says why", len(unreadable), folder / "unreadable.csv"
        )
    if not kept:
        raise UserError(f"no image to evaluate on is left in {root}")
    return with_crack_labels(kept, data.crack_label, root, megapixels=megapixels)


def _class_names(data: JudgedDataOptions, decision: Decision) -> Sequence[str]:
    """Returns the names of the class folders, in the checkpoint's order."""
    names = data.class_names or decision.class_names
    if len(names) != len(decision.class_names):
        raise UserError(
            f"data.class_names={names}: must hold a name for each of {', '.join(decision.class_names)}, in this order"
        )
    return names


def _samples_by_split(
    root: Path, data: JudgedDataOptions, decision: Decision, split: str
) -> dict[str, Sequence[Sample]]:
    """Returns the photographs of each split of the data set, with the groups that are resampled for intervals."""
    names = _class_names(data, decision)
    positive = names[decision.positive_index]
    by_split = find_dataset(root, names, layout=data.layout, positive_class=positive, labels=data.labels, only=split)
    folders = split_folders(root) or {}
    return {name: _with_groups(folders.get(name, root), samples, data, names) for name, samples in by_split.items()}


def _with_groups(
    root: Path, samples: Sequence[Sample], data: JudgedDataOptions, names: Sequence[str]
) -> Sequence[Sample]:
    if data.layout == MASKED:
        return samples
    layout = data.layout or recognise_layout(root, names)
    if data.group_by is not None:
        return assign_groups(samples, data.group_by, layout=layout)
    return group_by_photograph(samples, recognise_layout(root, []) if layout == CLASS_FOLDERS else layout)


def _samples_of_split(samples: Sequence[Sample], table: Path, split: str, root: Path) -> list[Sample]:
    """Returns the samples of one split of `table`, with the groups that it gives them.

    Raises FileNotFoundError if some of them are not in `root`.
    """
    groups = read_split(table, split)
    common = os.path.commonpath([sample.path.parent for sample in samples]) if samples else root
    # The table's paths may be relative to the root or to the deepest folder that holds all images.
    by_names = [{sample.path.relative_to(top).as_posix(): sample for sample in samples} for top in (root, common)]
    by_name = max(by_names, key=lambda names: len(matched(groups, names)))
    matches = matched(groups, by_name)
    if missing := groups.keys() - matches.keys():
        raise FileNotFoundError(
            f"{len(missing)} of {len(groups)} images of the {split} split are not in {root}, such as {min(missing)}: "
            f"give the folder that {table} was made from"
        )
    group_of = {matches[name]: group for name, group in groups.items()}
    return [replace(sample, group=group_of[name]) for name, sample in by_name.items() if name in group_of]


def held_out_samples(samples: Sequence[Sample], ckpt_path: Path | None) -> tuple[list[Sample], bool]:
    """Returns the samples that the checkpoint's run neither trained nor validated on, and whether it used any sample.

    The split.csv of the run folder lists what the run used. Samples are looked up there by path. If no path is known,
    they are looked up by content if the run's photographs still exist, else by their paths relative to the data set.
    Test images get the groups that they had in the run.
    """
    if ckpt_path is None:
        return list(samples), False
    table = ckpt_path.absolute().parent.parent / "split.csv"
    if not table.is_file():
        return list(samples), False
    known = _split_and_group(samples, read_split_rows(table))
    if not known:
        return list(samples), False
    kept = [sample for sample in samples if known.get(sample.path, ("test", ""))[0] == "test"]
    return [replace(image, group=known[image.path][1]) if image.path in known else image for image in kept], True


def _split_and_group(samples: Sequence[Sample], rows: Sequence[Row]) -> dict[Path, tuple[str, str]]:
    """Returns the split and the group of each sample that `rows` of a split.csv list, by the sample's path."""
    facts = {row["path"]: (row["split"], row["group"]) for row in rows}
    by_path = matched([str(sample.path) for sample in samples], facts)
    if known := {sample.path: facts[by_path[str(sample.path)]] for sample in samples if str(sample.path) in by_path}:
        return known
    if present := [path for path in facts if Path(path).is_file()]:
        contents = {content_hash(Path(path)): facts[path] for path in present}
        hashes = {sample.path: content_hash(sample.path) for sample in samples}
        return {path: contents[digest] for path, digest in hashes.items() if digest in contents}
    old_top, new_top = (os.path.commonpath(paths) for paths in (list(facts), [str(sample.path) for sample in samples]))
    by_name = {os.path.relpath(path, old_top): fact for path, fact in facts.items()}
    names = {sample.path: os.path.relpath(sample.path, new_top) for sample in samples}
    # Another data set may number its files alike, so this is the run's data set only if all of its files are here.
    if not by_name.keys() <= set(names.values()):
        return {}
    return {path: by_name[name] for path, name in names.items() if name in by_name}


def warn_of_training_data(root: Path, data: JudgedDataOptions, provenance: Mapping[str, object]) -> None:
    """Warns if a checkpoint is evaluated on the whole folder that it was trained on, not only on its test split."""
    whole = data.split is None and not split_folders(root)
    if provenance.get("data_root") == str(root) and whole:
        log.warning(
            "the checkpoint was trained on photographs of this folder: its metrics here are too good. "
            "To evaluate it on held-out images, give data.split=test data.split_csv=<run folder>/split.csv"
        )
