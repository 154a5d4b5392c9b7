"""Who trains, who validates, who tests: seeded, stratified, whole groups."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.data.files import write_csv
from crack_lightning.data.samples import SPLITS, Sample

Splits = dict[str, list[Sample]]


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise ValueError unless there are three positive fractions that sum to 1."""
    right = len(fractions) == len(SPLITS) and all(0 < fraction < 1 for fraction in fractions)
    if not right or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"data.fractions={list(fractions)}: three numbers above 0 that sum to 1 are needed, "
            f"for {', '.join(SPLITS)}, such as [0.7,0.15,0.15]"
        )


def split_samples(
    samples: Sequence[Sample], fractions: Sequence[float], *, seed: int, class_names: Sequence[str]
) -> Splits:
    """Share `samples` out to train, val and test by `fractions`, each class alike, no group torn apart.

    A pure function of the samples' groups and labels and of `seed`; the order of `samples` does not matter.
    A group's place is decided by a hash of its name, so that a file more or less moves few others.

    Raises ValueError when a class has too few groups to be in every split.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: (sample.group, str(sample.path))):
        groups[sample.group].append(sample)
    _check_enough_groups(groups, class_names)
    missing = _wanted(Counter(sample.label for sample in samples), fractions)
    splits: Splits = {name: [] for name in SPLITS}
    for name in sorted(groups, key=lambda name: _hash(seed, name)):
        counts = Counter(sample.label for sample in groups[name])
        split = _place(counts, missing)
        missing[split].subtract(counts)
        splits[split] += groups[name]
    _check_every_class(splits, class_names)
    return {name: sorted(members, key=lambda sample: str(sample.path)) for name, members in splits.items()}


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()


def split_digest(splits: Splits) -> str:
    """A hash that is the same for two splits when each puts the same groups into the same part."""
    lines = sorted({f"{name}:{sample.group}" for name, members in splits.items() for sample in members})
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _wanted(totals: Mapping[int, int], fractions: Sequence[float]) -> dict[str, Counter[int]]:
    """How many samples of each class each split should get: rounded, never 0, summing to the total."""
    wanted: dict[str, Counter[int]] = {name: Counter() for name in SPLITS}
    for label, total in totals.items():
        val, test = (max(1, round(total * fraction)) for fraction in fractions[1:])
        while val + test >= total:
            val, test = (val - 1, test) if val > test else (val, test - 1)
        for name, count in zip(SPLITS, (total - val - test, val, test), strict=True):
            wanted[name][label] = count
    return wanted


def _place(counts: Mapping[int, int], missing: Mapping[str, Counter[int]]) -> str:
    """The last split that has room for a whole group; where none has, the one that lacks most of its classes.

    Filling one split after the other keeps the others as they are when a file comes or goes.
    """
    for name in reversed(SPLITS):
        if all(missing[name][label] >= count for label, count in counts.items()):
            return name
    return max(SPLITS, key=lambda name: sum(missing[name][label] for label in counts))


def _check_enough_groups(groups: Mapping[str, Sequence[Sample]], class_names: Sequence[str]) -> None:
    for label, name in enumerate(class_names):
        with_class = [group for group, members in groups.items() if any(m.label == label for m in members)]
        if len(with_class) < len(SPLITS):
            images = sum(m.label == label for members in groups.values() for m in members)
            what = "images" if images == len(with_class) else f"groups ({images} images)"
            raise ValueError(
                f"class {name} has {len(with_class)} {what}, too few to split: "
                f"at least {len(SPLITS)} are needed, one each for {', '.join(SPLITS)}"
            )


def _check_every_class(splits: Splits, class_names: Sequence[str]) -> None:
    for split, members in splits.items():
        for label, name in enumerate(class_names):
            if not any(member.label == label for member in members):
                raise ValueError(
                    f"class {name} has no image in the {split} split: its groups are too large to share out; "
                    "use more groups, other data.fractions or another seed"
                )


def write_split(path: Path, splits: Splits, class_names: Sequence[str]) -> None:
    """Write `path,label,group,split` rows, one a sample, so that the split can be read and repeated."""
    rows = [
        [sample.path, class_names[sample.label], sample.group, name]
        for name, members in splits.items()
        for sample in members
    ]
    write_csv(path, ["path", "label", "group", "split"], rows)


def read_split(path: Path, split: str) -> set[str]:
    """The groups of one split in a file that `write_split` left.

    Raises ValueError when it is no such file or has no such split.
    """
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"group", "split"} <= rows[0].keys():
        raise ValueError(f"{path} is no split.csv of a training run: it needs columns group and split")
    groups = {row["group"] for row in rows if row["split"] == split}
    if not groups:
        names = ", ".join(sorted({row["split"] for row in rows}))
        raise ValueError(f"{path} has no split {split!r}: it has {names}")
    return groups
