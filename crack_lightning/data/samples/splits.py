"""Splits samples into train, val and test: seeded, stratified, in whole groups."""

import hashlib
import logging
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.presplit import SPLITS
from crack_lightning.errors import UserError
from crack_lightning.system.files import write_csv
from crack_lightning.system.names import comparable
from crack_lightning.system.tables import Row, read_table

log = logging.getLogger(__name__)

MOST_ORDERS, MOST_STEPS = 100, 200_000  # orders of sharing groups out, and groups placed in all orders together
UNEVEN = 0.05  # difference in a class's share above which it is logged

Splits = Mapping[str, Sequence[Sample]]


def split_samples(
    samples: Sequence[Sample], fractions: Sequence[float], *, seed: int, class_names: Sequence[str]
) -> Splits:
    """Shares `samples` out to train, val and test by `fractions`, each class alike, and keeps groups whole.

    The split depends on the samples' groups and labels and on `seed` alone, not on the order of `samples`. Where each
    group is one image, a hash of its name decides its place, so that a file more or less moves few others. Larger
    groups are shared out in many orders, and the result that comes closest to the fractions is taken.

    Raises ValueError where a class has too few groups to be in every split.
    """
    groups = _groups(samples)
    _check_enough_groups(groups, class_names, SPLITS)
    missing = _wanted_counts(Counter(sample.label for sample in samples), fractions)
    if len(groups) < len(samples):
        return _as_splits(_closest(groups, missing, seed), groups, class_names)
    splits: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for name in sorted(groups, key=lambda name: _hash(seed, name)):
        counts = Counter(sample.label for sample in groups[name])
        split = _split_for(counts, missing)
        missing[split].subtract(counts)
        splits[split] += groups[name]
    check_every_class(splits, class_names)
    return {name: sorted(members, key=lambda sample: str(sample.path)) for name, members in splits.items()}


def fold_samples(samples: Sequence[Sample], *, folds: int, fold: int, seed: int, class_names: Sequence[str]) -> Splits:
    """Returns the split in which fold number `fold` (0 to folds-1) tests, the next one validates and the others train.

    Each class is shared out alike, and groups are kept whole; every sample is tested in exactly one of the folds.

    Raises ValueError where a class has fewer groups than there are folds.
    """
    groups = _groups(samples)
    names = [str(number) for number in range(folds)]
    _check_enough_groups(groups, class_names, names)
    totals = Counter(sample.label for sample in samples)
    wanted = {name: Counter({label: total / folds for label, total in totals.items()}) for name in names}
    placed = _closest(groups, wanted, seed)
    roles = {str(fold): "test", str((fold + 1) % folds): "val"}
    return _as_splits({group: roles.get(name, "train") for group, name in placed.items()}, groups, class_names)


def class_weights(samples: Sequence[Sample], classes: int, rule: str | None) -> list[float] | None:
    """Returns the weights of the classes: None for no rule; for `balanced` those by which all count alike, mean 1."""
    if rule is None:
        return None
    counts = Counter(sample.label for sample in samples)
    return [len(samples) / (classes * counts[label]) for label in range(classes)]


def _groups(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: (sample.group, str(sample.path))):
        groups[sample.group].append(sample)
    return groups


def _closest(
    groups: Mapping[str, Sequence[Sample]], wanted: Mapping[str, Mapping[int, float]], seed: int
) -> dict[str, str]:
    """Returns the part of every group: the best of many orders, with counts of each class closest to `wanted`."""
    counts = {name: Counter(sample.label for sample in members) for name, members in groups.items()}
    best: tuple[float, dict[str, str]] = (math.inf, {})
    for number in range(max(1, min(MOST_ORDERS, MOST_STEPS // len(groups)))):
        # Large ones first comes closest as a rule; alone it would let the seed choose only among equal sizes.
        large_first = number % 2 == 0
        order = sorted(groups, key=lambda name: (-len(groups[name]) * large_first, _hash(seed, f"{number}:{name}")))
        placed, missing = _greedy(order, counts, wanted)
        off = sum(abs(lack) / wanted[part][label] for part, lacks in missing.items() for label, lack in lacks.items())
        if off < best[0] - 1e-9:
            best = (off, placed)
    return best[1]


def _greedy(
    order: Sequence[str], counts: Mapping[str, Mapping[int, int]], wanted: Mapping[str, Mapping[int, float]]
) -> tuple[dict[str, str], dict[str, dict[int, float]]]:
    """Gives each group in turn to the part that lacks most of it; returns parts and their lacks (excess below 0)."""
    missing = {part: dict(lacks) for part, lacks in wanted.items()}
    placed = {}
    for name in order:
        share = counts[name].items()
        part = max(missing, key=lambda part: sum(n * missing[part][label] / wanted[part][label] for label, n in share))
        placed[name] = part
        for label, n in share:
            missing[part][label] -= n
    return placed, missing


def _as_splits(placed: Mapping[str, str], groups: Mapping[str, Sequence[Sample]], class_names: Sequence[str]) -> Splits:
    splits: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for group, name in placed.items():
        splits[name] += groups[group]
    check_every_class(splits, class_names)
    _warn_of_shares(splits, class_names)
    return {name: sorted(members, key=lambda sample: str(sample.path)) for name, members in splits.items()}


def _warn_of_shares(splits: Splits, class_names: Sequence[str]) -> None:
    """Warns where whole groups do not allow every split the same share of a class."""
    all_samples = [sample for members in splits.values() for sample in members]
    for label, name in enumerate(class_names):
        shares = {
            split: sum(sample.label == label for sample in members) / len(members)
            for split, members in {"all": all_samples, **splits}.items()
        }
        if max(abs(share - shares["all"]) for share in shares.values()) > UNEVEN:
            uneven = ", ".join(f"{share:.0%} of {split}" for split, share in shares.items())
            log.warning("whole groups do not share out %s evenly: %s", name, uneven)
            return


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{comparable(name)}".encode()).digest()


def split_digest(splits: Splits) -> str:
    """Returns a hash that is the same for two splits where each puts the same groups into the same part."""
    lines = sorted({f"{name}:{comparable(sample.group)}" for name, members in splits.items() for sample in members})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _wanted_counts(totals: Mapping[int, int], fractions: Sequence[float]) -> dict[str, Counter[int]]:
    """Returns how many samples of each class each split should get: rounded, never 0, summing to the total."""
    wanted: dict[str, Counter[int]] = {name: Counter() for name in SPLITS}
    for label, total in totals.items():
        val, test = (max(1, round(total * fraction)) for fraction in fractions[1:])
        while val + test >= total:
            val, test = (val - 1, test) if val > test else (val, test - 1)
        for name, count in zip(SPLITS, (total - val - test, val, test), strict=True):
            wanted[name][label] = count
    return wanted


def _split_for(counts: Mapping[int, int], missing: Mapping[str, Counter[int]]) -> str:
    """Returns the last split that has room for a whole group, else the one that lacks most of its classes.

    Filling one split after the other keeps the others as they are when a file is added or removed.
    """
    for name in reversed(SPLITS):
        if all(missing[name][label] >= count for label, count in counts.items()):
            return name
    return max(SPLITS, key=lambda name: sum(missing[name][label] for label in counts))


def _check_enough_groups(
    groups: Mapping[str, Sequence[Sample]], class_names: Sequence[str], parts: Sequence[str]
) -> None:
    for label, name in enumerate(class_names):
        with_class = [group for group, members in groups.items() if any(m.label == label for m in members)]
        if len(with_class) < len(parts):
            images = sum(m.label == label for members in groups.values() for m in members)
            what = "images" if images == len(with_class) else f"groups ({images} images)"
            raise UserError(
                f"class {name} has {len(with_class)} {what}, too few to split: "
                f"at least {len(parts)} are needed, one each for {', '.join(parts)}"
            )


def check_every_class(splits: Splits, class_names: Sequence[str]) -> None:
    """Raises ValueError for a class that has no image in one of the splits."""
    for split, members in splits.items():
        for label, name in enumerate(class_names):
            if not any(member.label == label for member in members):
                raise UserError(
                    f"class {name} has no image in the {split} split: its groups are too large to share out, "
                    "or a table has none; use more groups, other data.fractions or another seed"
                )


def write_split(path: Path, splits: Splits, class_names: Sequence[str]) -> None:
    """Writes `path,label,group,split` rows, one for each sample, so that the split can be read and repeated."""
    rows = [
        [sample.path, class_names[sample.label], sample.group, name]
        for name, members in splits.items()
        for sample in members
    ]
    write_csv(path, ["path", "label", "group", "split"], rows)


def read_split(path: Path, split: str) -> dict[str, str]:
    """Returns the group of every image of one split in a file of `write_split`, by its place below the data's root.

    Raises ValueError where it is not such a file or has no such split.
    """
    rows = read_split_rows(path)
    root = os.path.commonpath([row["path"] for row in rows])  # the folder that both class folders lie in
    groups = {os.path.relpath(row["path"], root): row["group"] for row in rows if row["split"] == split}
    if not groups:
        names = ", ".join(sorted({row["split"] for row in rows}))
        raise UserError(f"{path} has no split {split!r}: it has {names}")
    return groups


def read_splits(path: Path) -> dict[str, str]:
    """Returns the split of every path in a file of `write_split`. Raises ValueError where it is not such a file."""
    return {row["path"]: row["split"] for row in read_split_rows(path)}


def read_split_rows(path: Path) -> list[Row]:
    """Returns the rows of a file of `write_split`. Raises ValueError where it is not such a file."""
    rows = read_table(path, ("path", "group", "split"), key="data.split_csv")
    if not rows:
        raise UserError(f"{path} has no rows: the split.csv of a training run is needed")
    kinds = {Path(row["path"].replace("\\", "/")).is_absolute() for row in rows}
    if len(kinds) > 1:
        raise UserError(f"{path} has whole paths and others: the split.csv of a training run is needed")
    return rows
