"""Copies among pictures: which are the same file, show the same or share a part, and the clusters they form."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crack_lightning.data.copies.facts import FileFacts
from crack_lightning.data.copies.fingerprints import invariant_keys, similarity
from crack_lightning.data.copies.neighbours import close_pairs

SIMILAR = 0.95  # correlation of two fingerprints from which on they are taken for copies
BLOCK = 4096  # pairs compared at a time

Array = np.ndarray
Clusters = Sequence[Sequence[int]]


def exact_copies(hashes: Sequence[str]) -> list[list[int]]:
    """Places of files with the same content hash, each list sorted and longer than one."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, digest in enumerate(hashes):
        places[digest].append(place)
    return [group for group in places.values() if len(group) > 1]


def find_copies(facts: Sequence[FileFacts], *, near: bool, overlaps: Array | None = None) -> dict[str, list[list[int]]]:
    """Clusters of places by kind, each with those of the kinds before: `exact_duplicate`, `near_duplicate`, `overlap`.

    The second if asked for, the third if pairs (M, 2) of places that overlap are given.
    """
    readable = [place for place, each in enumerate(facts) if not each.problem]
    exact = [[readable[k] for k in group] for group in exact_copies([facts[place].digest for place in readable])]
    found = {"exact_duplicate": exact}
    if not facts:
        return found
    pairs = [pair for group in exact for pair in itertools.pairwise(group)]
    if near:
        pairs += near_copies(np.stack([each.print for each in facts]))[0].tolist()
        found["near_duplicate"] = clusters(len(facts), pairs)
    if overlaps is not None:
        found["overlap"] = clusters(len(facts), [*pairs, *overlaps.tolist()])
    return found


def near_copies(prints: Array, *, similar: float = SIMILAR) -> tuple[Array, Array]:
    """Pairs (M, 2) of fingerprints (N, SIDE, SIDE) that show the same picture, and their correlation (M,).

    However they are mirrored or turned by quarters. Fingerprints of zeros, one colour, are copies of nothing.
    """
    places = np.flatnonzero(prints.any(axis=(1, 2)))
    distance = float(np.sqrt(2 - 2 * similar))  # of unit vectors with that correlation
    pairs = places[close_pairs(invariant_keys(prints[places]), distance)]
    found = [np.empty(0, np.float32)]
    for start in range(0, len(pairs), BLOCK):
        some = pairs[start : start + BLOCK]
        found.append(similarity(prints[some[:, 0]], prints[some[:, 1]]))
    correlation = np.concatenate(found)
    return pairs[correlation >= similar], correlation[correlation >= similar]


def clusters(count: int, pairs: Iterable[Sequence[int]]) -> list[list[int]]:
    """What hangs together by `pairs` of the places 0..count-1: sorted lists longer than one, the first place first."""
    one, other = np.array([*pairs], np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(count, count))
    members: dict[int, list[int]] = defaultdict(list)
    for place, cluster in enumerate(connected_components(graph, directed=False)[1].tolist()):
        members[cluster].append(place)
    return [group for group in members.values() if len(group) > 1]


def groups_of(clusters: Clusters, names: Sequence[str]) -> list[str]:
    """A group for each image: the name of its cluster's first member, its own if it stands alone."""
    first = {member: cluster[0] for cluster in clusters for member in cluster}
    return [names[first.get(place, place)] for place in range(len(names))]
