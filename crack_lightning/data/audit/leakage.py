"""Consequences of copies for a data set: conflicts of labels, and test images with a copy in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_lightning.data.audit.findings import Finding
from crack_lightning.data.copies.duplicates import Clusters


def cluster_findings(kind: str, clusters: Clusters, paths: Sequence[Path]) -> list[Finding]:
    """Returns a finding for each member of each cluster, the clusters numbered from 1."""
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
    """Returns a finding for each member of the clusters that lie in more than one class."""
    mixed = [cluster for cluster in clusters if len({classes[member] for member in cluster}) > 1]
    return [
        Finding("label_conflict", paths[member], f"the same picture lies in {' and '.join(names)}", number)
        for number, cluster in enumerate(mixed, 1)
        for names in [sorted({classes[member] for member in cluster})]
        for member in cluster
    ]


@dataclass(frozen=True)
class Leakage:
    """The leakage of a class: of `tested` test images, `leaked` have a counterpart in training."""

    class_name: str
    leaked: int
    tested: int


def leakage(clusters: Clusters, classes: Sequence[str], splits: Sequence[str]) -> list[Leakage]:
    """Returns a row for each class, by clusters of copies and the split (train, val, test or other) of every image."""
    leaked = leaked_places(clusters, splits)
    return [
        Leakage(
            name,
            sum(classes[place] == name for place in leaked),
            sum(a == name and b == "test" for a, b in zip(classes, splits, strict=True)),
        )
        for name in sorted(set(classes))
    ]


def leaked_places(clusters: Clusters, splits: Sequence[str]) -> list[int]:
    """Returns places of test images that are in a cluster with a training image."""
    return [
        member
        for cluster in clusters
        if any(splits[other] == "train" for other in cluster)
        for member in cluster
        if splits[member] == "test"
    ]
