"""Images that belong together since they are copies of each other or share a part."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_lightning.data.copies.duplicates import find_copies
from crack_lightning.data.copies.facts import read_facts
from crack_lightning.data.copies.overlaps import find_overlaps

Clusters = Sequence[Sequence[int]]


def clusters_of(paths: Sequence[Path], by: str, *, workers: int | None) -> list[list[int]]:
    """Places of images that are copies of each other, near ones too, or with `overlap` share a part."""
    facts = read_facts(paths, workers=workers)
    overlaps = find_overlaps(paths, workers=workers) if by == "overlap" else None
    return list(find_copies(facts, near=True, overlaps=overlaps).values())[-1]


def groups_of(clusters: Clusters, names: Sequence[str]) -> list[str]:
    """A group for each image: the name of its cluster's first member, its own if it stands alone."""
    first: Mapping[int, int] = {member: cluster[0] for cluster in clusters for member in cluster}
    return [names[first.get(place, place)] for place in range(len(names))]
