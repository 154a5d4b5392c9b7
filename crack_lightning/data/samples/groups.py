"""Assigns images to groups that a split keeps together: by file, folder, pattern in the path, copies, or table."""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from filelock import FileLock

from crack_lightning.data.copies.duplicates import find_copies, groups_of
from crack_lightning.data.copies.facts import read_facts
from crack_lightning.data.copies.overlaps import find_overlaps
from crack_lightning.data.samples.layouts import CLASS_FOLDERS, CLUSTER_RULES, LAYOUTS
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.splits import Splits
from crack_lightning.errors import UserError
from crack_lightning.system.cache import mark_folder
from crack_lightning.system.files import content_hash, expanded, write_csv
from crack_lightning.system.names import matched
from crack_lightning.system.tables import read_table

log = logging.getLogger(__name__)

PATH_RULES = ("file", "folder", "photograph")  # values of `group_by` that depend only on the path
CLUSTERING_VERSION = 2  # raised when the rules change by which images are copies or overlap
MAX_NAMED = 5  # largest number of files that a message names


def assign_groups(
    samples: Sequence[Sample],
    group_by: str,
    *,
    layout: str = CLASS_FOLDERS,
    cache: Path | None = None,
    workers: int | None = None,
) -> list[Sample]:
    """Returns `samples` with the groups that `group_by` assigns to them.

    `group_by` has one of these values:

    - `file`: each image is its own group.
    - `folder`: the group is the path of the folder below the class folder; it may be the same in both classes.
    - `photograph`: the group is read from the path, by the pattern of `layout`.
    - `near_duplicates`, `overlap`: the group is a cluster of copies, kept in `cache` for later runs with these images.
    - NAME.csv: a table with the columns path (below the root, or absolute) and group, and a row for each image.
    - a regular expression: it is searched for in the path below the root (with /); what it captures is the group.

    Raises ValueError or FileNotFoundError, which names what does not fit, also if all images are in one group.
    """
    if group_by == "file":
        return list(samples)
    if group_by in CLUSTER_RULES:
        return with_groups(samples, cluster_names(samples, group_by, cache, workers), group_by)
    if group_by == "photograph":
        names = _groups_from_pattern(samples, _photograph_pattern(layout))
    elif group_by == "folder":
        names = [Path(*Path(sample.name).parts[1:-1]).as_posix() for sample in samples]
    elif group_by.endswith(".csv"):
        names = _groups_from_table(samples, expanded(group_by))
    else:
        names = _groups_from_pattern(samples, group_by)
    return with_groups(samples, names, group_by)


def with_groups(samples: Sequence[Sample], names: Sequence[str], group_by: str) -> list[Sample]:
    """Returns `samples` with the groups `names`. Raises ValueError if all are the same."""
    if len(set(names)) == 1:
        raise UserError(
            f"data.group_by={group_by} puts all {len(samples)} images into one group ({names[0] or 'no subfolder'}): "
            "there is nothing to split"
        )
    return [replace(sample, group=name) for sample, name in zip(samples, names, strict=True)]


def count_seen_in_training(splits: Splits, *, by: str, cache: Path | None, workers: int | None) -> int:
    """Returns how many test images have a copy in training; `by` is exact, near_duplicates or overlap."""
    samples = [sample for members in splits.values() for sample in members]
    if by == "exact":
        names = [content_hash(sample.path) for sample in samples]
    else:
        names = cluster_names(samples, by, cache, workers)
    cluster = {sample.path: name for sample, name in zip(samples, names, strict=True)}
    training_clusters = {cluster[sample.path] for sample in splits["train"]}
    return sum(cluster[sample.path] in training_clusters for sample in splits["test"])


def cluster_names(samples: Sequence[Sample], group_by: str, cache: Path | None, workers: int | None) -> list[str]:
    """Returns each image's cluster by `near_duplicates` or `overlap`, read from `cache` if it has these very images."""
    if cache is None:
        return _find_clusters(samples, group_by, workers)
    contents = "\n".join(sorted(f"{sample.name}:{content_hash(sample.path)}" for sample in samples))
    text = f"{CLUSTERING_VERSION}:{group_by}:{contents}"
    key = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    table = cache / "groups" / f"{group_by}-{len(samples)}-{key}" / "groups.csv"
    if not table.exists():  # a complete table needs no lock, and no writable cache
        mark_folder(table.parent)
        with FileLock(table.with_suffix(".lock")):  # of runs that start together, only one computes
            if not table.exists():
                clusters = _find_clusters(samples, group_by, workers)
                names = [sample.name for sample in samples]
                write_csv(table, ["path", "group"], list(zip(names, clusters, strict=True)))
    log.info("groups by %s: %s", group_by, table)
    return _groups_from_table(samples, table)


def _find_clusters(samples: Sequence[Sample], group_by: str, workers: int | None) -> list[str]:
    paths = [sample.path for sample in samples]
    overlaps = find_overlaps(paths, workers=workers) if group_by == "overlap" else None
    clusters = list(find_copies(read_facts(paths, workers=workers), near=True, overlaps=overlaps).values())[-1]
    log.info("%d images are copies or overlap, in %d groups", sum(map(len, clusters)), len(clusters))
    return groups_of(clusters, [sample.name for sample in samples])


def group_by_photograph(samples: Sequence[Sample], layout: str) -> list[Sample]:
    """Returns `samples` grouped by photograph if the layout has a pattern that fits all names, else unchanged."""
    pattern = LAYOUTS[layout].photograph if layout in LAYOUTS else None
    names = [captured_text(re.compile(pattern), sample.name) for sample in samples] if pattern else [None]
    if None in names:
        return list(samples)
    return [replace(sample, group=name or "") for sample, name in zip(samples, names, strict=True)]


def captured_text(pattern: re.Pattern[str], name: str) -> str | None:
    """Returns what the groups of `pattern` capture in `name`, joined by /; None if it does not match."""
    match = pattern.search(name)
    return None if match is None else "/".join(part or "" for part in match.groups())


def _photograph_pattern(layout: str) -> str:
    pattern = LAYOUTS[layout].photograph if layout in LAYOUTS else None
    if pattern is None:
        raise UserError(
            f"data.group_by=photograph: the names of data.layout={layout} do not say from which photograph they were "
            "cut: give a regular expression that captures it, or overlap"
        )
    return pattern


def _groups_from_pattern(samples: Sequence[Sample], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"data.group_by={pattern} is neither {', '.join((*PATH_RULES, *CLUSTER_RULES))}, a .csv file, "
            f"nor a regular expression: {error}"
        ) from error
    if not compiled.groups:
        near = get_close_matches(pattern, (*PATH_RULES, *CLUSTER_RULES), 1)
        hint = f": did you mean {near[0]}? As a regular expression it" if near else ""
        raise UserError(
            f"data.group_by={pattern}{hint} has no group in brackets to say what belongs together, such as "
            f"(\\d+)-\\d+; other values are {', '.join((*PATH_RULES, *CLUSTER_RULES))} and .csv files"
        )
    names, unmatched = [], []
    for sample in samples:
        name = captured_text(compiled, sample.name)
        if name is None:
            unmatched.append(sample.path)
        names.append(name or "")
    if unmatched:
        raise UserError(
            f"data.group_by={pattern} is not found in {len(unmatched)} of {len(samples)} paths: {_first_few(unmatched)}"
        )
    return names


def _groups_from_table(samples: Sequence[Sample], table: Path) -> list[str]:
    groups = read_groups(table)
    paths = {sample.name: str(sample.path) for sample in samples}
    by_name, by_path = matched(paths, groups), matched(paths.values(), groups)
    group_of = {
        key: groups[by_name.get(key) or by_path[path]]
        for key, path in paths.items()
        if key in by_name or path in by_path
    }
    if missing := [Path(key) for key in paths if key not in group_of]:
        raise UserError(f"{table} has no group for {len(missing)} of {len(samples)} images: {_first_few(missing)}")
    used = {*by_name.values(), *by_path.values()}
    if unknown := [Path(path) for path in groups if path not in used]:
        raise UserError(f"{table} names {len(unknown)} files that are not among the images: {_first_few(unknown)}")
    return [group_of[key] for key in paths]


def read_groups(table: Path) -> Mapping[str, str]:
    """Returns the group of each path in a table with the columns path and group.

    Raises ValueError if a path occurs twice or has no group.
    """
    groups: dict[str, str] = {}
    for row in read_table(table, ("path", "group"), key="data.group_by"):
        if row["path"] in groups:
            raise UserError(f"{table} names {row['path']} twice (line {row.line})")
        if not row["group"]:
            raise UserError(f"{table} gives {row['path']} no group (line {row.line})")
        groups[row["path"]] = row["group"]
    return groups


def _first_few(paths: Sequence[Path]) -> str:
    names = ", ".join(str(path) for path in paths[:MAX_NAMED])
    return names if len(paths) <= MAX_NAMED else f"{names} and {len(paths) - MAX_NAMED} more"
