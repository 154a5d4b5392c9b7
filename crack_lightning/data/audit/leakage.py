"""Shows what copies do to a data set: conflicting labels, and test images with a copy in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.audit.findings import Finding
from crack_lightning.data.copies.duplicates import Clusters


def cluster_findings(kind: str, clusters: Clusters, paths: Sequence[Path]) -> list[Finding]:
    """Returns a finding for each member of each cluster; `clusters` hold indices of `paths`.

    The clusters are numbered from 1.
    """
    return [
        Finding(
            kind,
            paths[member],
            f"one of {len(cluster)}, with {paths[cluster[0] if member != cluster[0] else cluster[1]]}",
            number,
        )
        for number, cluster in enumerate(clusters, 1)
        for member in cluster
    ]


def label_conflicts(clusters: Clusters, paths: Sequence[Path], classes: Sequence[str]) -> list[Finding]:
    """Returns a finding for each member of a cluster whose pictures are in more than one class."""
    mixed = [cluster for cluster in clusters if len({classes[member] for member in cluster}) > 1]
    return [
        Finding("label_conflict", paths[member], f"the same picture is in {' and '.join(names)}", number)
        for number, cluster in enumerate(mixed, 1)
        for names in [sorted({classes[member] for member in cluster})]
        for member in cluster
    ]


@dataclass(frozen=True)
class Leakage:
    """The leakage of a class.

    `tested` is the number of its test images. `leaked` is how many of these have a copy in training.
    """

    class_name: str
    leaked: int
    tested: int


def leakage(clusters: Clusters, classes: Sequence[str], splits: Sequence[str]) -> list[Leakage]:
    """Returns the leakage of each class.

    `clusters` are of copies; `classes` and `splits` (train, val, test or other) have an entry for every image.
    """
    leaked = leaked_indices(clusters, splits)
    return [
        Leakage(
            name,
            sum(classes[index] == name for index in leaked),
            sum(one_class == name and split == "test" for one_class, split in zip(classes, splits, strict=True)),
        )
        for name in sorted(set(classes))
    ]


def leaked_indices(clusters: Clusters, splits: Sequence[str]) -> list[int]:
    """Returns the indices of test images that are in a cluster with a training image."""
    return [
        member
        for cluster in clusters
        if any(splits[other] == "train" for other in cluster)
        for member in cluster
        if splits[member] == "test"
    ]
