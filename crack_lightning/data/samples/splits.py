"""Splits samples into train, val and test: by a seed, each class alike, and keeping groups whole."""

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

MAX_ORDERS = 100  # largest number of orders in which groups are tried
MAX_STEPS = 200_000  # largest number of groups in all these orders together
UNEVEN_SHARE = 0.05  # a warning is logged if a class's share in a split differs more from its overall share

Splits = Mapping[str, Sequence[Sample]]  # by train, val and test


def split_samples(
    samples: Sequence[Sample], fractions: Sequence[float], *, seed: int, class_names: Sequence[str]
) -> Splits:
    """Splits `samples` into train, val and test by `fractions`, each class alike, and keeps groups whole.

    The split depends on the groups and labels of the samples and on `seed`, but not on the order of `samples`. If each
    group is a single image, a hash of its name decides where it goes, so that adding or removing a file moves few
    others. Otherwise, groups are assigned in many orders, and the result closest to the fractions is taken.

    Raises ValueError if a class has too few groups to be in every split.
    """
    groups = _groups(samples)
    _check_enough_groups(groups, class_names, SPLITS)
    missing = _wanted_counts(Counter(sample.label for sample in samples), fractions)
    if len(groups) < len(samples):
        return _splits_of_parts(_best_assignment(groups, missing, seed), groups, class_names)
    splits: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for name in sorted(groups, key=lambda name: _hash(seed, name)):
        counts = Counter(sample.label for sample in groups[name])
        split = _choose_split(counts, missing)
        missing[split].subtract(counts)
        splits[split] += groups[name]
    check_every_class(splits, class_names)
    return {name: sorted(members, key=lambda sample: str(sample.path)) for name, members in splits.items()}


def fold_samples(samples: Sequence[Sample], *, folds: int, fold: int, seed: int, class_names: Sequence[str]) -> Splits:
    """Returns a split for cross-validation: part `fold` (0 to folds-1) is test, the next part is val, the rest train.

    Each class is distributed evenly over the parts, and groups are kept whole. Over all values of `fold`, every sample
    is tested exactly once.

    Raises ValueError if a class has fewer groups than there are folds.
    """
    groups = _groups(samples)
    names = [str(number) for number in range(folds)]
    _check_enough_groups(groups, class_names, names)
    totals = Counter(sample.label for sample in samples)
    wanted = {name: Counter({label: total / folds for label, total in totals.items()}) for name in names}
    part_of = _best_assignment(groups, wanted, seed)
    roles = {str(fold): "test", str((fold + 1) % folds): "val"}
    return _splits_of_parts({group: roles.get(name, "train") for group, name in part_of.items()}, groups, class_names)


def class_weights(samples: Sequence[Sample], classes: int, rule: str | None) -> list[float] | None:
    """Returns a weight for each class: None without a rule.

    With the rule `balanced`, all classes count equally in total, and the mean weight of the samples is 1.
    """
    if rule is None:
        return None
    counts = Counter(sample.label for sample in samples)
    return [len(samples) / (classes * counts[label]) for label in range(classes)]


def _groups(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: (sample.group, str(sample.path))):
        groups[sample.group].append(sample)
    return groups


def _best_assignment(
    groups: Mapping[str, Sequence[Sample]], wanted: Mapping[str, Mapping[int, float]], seed: int
) -> dict[str, str]:
    """Returns the part to which each group is assigned, so that the parts' counts of each class are close to `wanted`.

    Groups are assigned in many orders, and the best result is taken.
    """
    counts = {name: Counter(sample.label for sample in members) for name, members in groups.items()}
    best: tuple[float, dict[str, str]] = (math.inf, {})
    for number in range(max(1, min(MAX_ORDERS, MAX_STEPS // len(groups)))):
        # Large groups first is usually closest. Alone, it would leave the seed only the order of equally large groups.
        large_first = number % 2 == 0
        order = sorted(groups, key=lambda name: (-len(groups[name]) * large_first, _hash(seed, f"{number}:{name}")))
        part_of, missing = _assign_in_order(order, counts, wanted)
        error = sum(abs(lack) / wanted[part][label] for part, lacks in missing.items() for label, lack in lacks.items())
        if error < best[0] - 1e-9:
            best = (error, part_of)
    return best[1]


def _assign_in_order(
    order: Sequence[str], counts: Mapping[str, Mapping[int, int]], wanted: Mapping[str, Mapping[int, float]]
) -> tuple[dict[str, str], dict[str, dict[int, float]]]:
    """Assigns each group in turn to the part that needs it most.

    Returns the part of each group, and how many samples of each class each part still lacks (negative: has too many).
    """
    missing = {part: dict(lacks) for part, lacks in wanted.items()}
    part_of = {}
    for name in order:
        share = counts[name].items()
        part = max(missing, key=lambda part: sum(n * missing[part][label] / wanted[part][label] for label, n in share))
        part_of[name] = part
        for label, n in share:
            missing[part][label] -= n
    return part_of, missing


def _splits_of_parts(
    part_of: Mapping[str, str], groups: Mapping[str, Sequence[Sample]], class_names: Sequence[str]
) -> Splits:
    """Returns the splits, given the split of each group in `part_of`."""
    splits: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for group, name in part_of.items():
        splits[name] += groups[group]
    check_every_class(splits, class_names)
    _warn_if_uneven(splits, class_names)
    return {name: sorted(members, key=lambda sample: str(sample.path)) for name, members in splits.items()}


def _warn_if_uneven(splits: Splits, class_names: Sequence[str]) -> None:
    """Logs a warning if a class does not have about the same share in all splits, since groups are kept whole."""
    all_samples = [sample for members in splits.values() for sample in members]
    for label, name in enumerate(class_names):
        shares = {
            split: sum(sample.label == label for sample in members) / len(members)
            for split, members in {"all": all_samples, **splits}.items()
        }
        if max(abs(share - shares["all"]) for share in shares.values()) > UNEVEN_SHARE:
            uneven = ", ".join(f"{share:.0%} of {split}" for split, share in shares.items())
            log.warning("whole groups do not share out %s evenly: %s", name, uneven)
            return


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{comparable(name)}".encode()).digest()


def split_digest(splits: Splits) -> str:
    """Returns a hash that is equal for two splits if both put the same groups into train, val and test."""
    lines = sorted({f"{name}:{comparable(sample.group)}" for name, members in splits.items() for sample in members})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _wanted_counts(totals: Mapping[int, int], fractions: Sequence[float]) -> dict[str, Counter[int]]:
    """Returns how many samples of each class each split should get: whole numbers above 0 that sum to the total."""
    wanted: dict[str, Counter[int]] = {name: Counter() for name in SPLITS}
    for label, total in totals.items():
        val, test = (max(1, round(total * fraction)) for fraction in fractions[1:])
        while val + test >= total:
            val, test = (val - 1, test) if val > test else (val, test - 1)
        for name, count in zip(SPLITS, (total - val - test, val, test), strict=True):
            wanted[name][label] = count
    return wanted


def _choose_split(counts: Mapping[int, int], missing: Mapping[str, Counter[int]]) -> str:
    """Returns the last split with room for a group of these `counts` by class, else the split that lacks most of them.

    Splits are filled one after the other, so that adding or removing a file leaves most of them unchanged.
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
    """Raises ValueError if a class has no image in one of the splits."""
    for split, members in splits.items():
        for label, name in enumerate(class_names):
            if not any(member.label == label for member in members):
                raise UserError(
                    f"class {name} has no image in the {split} split: its groups are too large to share out, "
                    "or the table has none; use more groups, other data.fractions or another seed"
                )


def write_split(path: Path, splits: Splits, class_names: Sequence[str]) -> None:
    """Writes a table with columns path, label, group and split and a row for each sample, for `read_split`."""
    rows = [
        [sample.path, class_names[sample.label], sample.group, name]
        for name, members in splits.items()
        for sample in members
    ]
    write_csv(path, ["path", "label", "group", "split"], rows)


def read_split(path: Path, split: str) -> dict[str, str]:
    """Returns the group of each image of a split, by its path below the root, from a file that `write_split` wrote.

    Raises ValueError if it is not such a file or has no such split.
    """
    rows = read_split_rows(path)
    root = os.path.commonpath([row["path"] for row in rows])  # the folder that holds both class folders
    groups = {os.path.relpath(row["path"], root): row["group"] for row in rows if row["split"] == split}
    if not groups:
        names = ", ".join(sorted({row["split"] for row in rows}))
        raise UserError(f"{path} has no split {split!r}: it has {names}")
    return groups


def read_splits(path: Path) -> dict[str, str]:
    """Returns the split of each path in a file that `write_split` wrote. Raises ValueError if it is not such a file."""
    return {row["path"]: row["split"] for row in read_split_rows(path)}


def read_split_rows(path: Path) -> list[Row]:
    """Returns the rows of a file that `write_split` wrote. Raises ValueError if it is not such a file."""
    rows = read_table(path, ("path", "group", "split"), key="data.split_csv")
    if not rows:
        raise UserError(f"{path} has no rows: the split.csv of a training run is needed")
    absolute = {Path(row["path"].replace("\\", "/")).is_absolute() for row in rows}
    if len(absolute) > 1:
        raise UserError(f"{path} has both absolute and relative paths: the split.csv of a training run is needed")
    return rows
