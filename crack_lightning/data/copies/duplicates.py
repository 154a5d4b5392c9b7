"""Finds copies among pictures (the same file, the same picture, or a shared part) and the clusters that they form."""

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
    """Returns places of files with the same content hash, each list sorted and longer than one."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, digest in enumerate(hashes):
        places[digest].append(place)
    return [group for group in places.values() if len(group) > 1]


def find_copies(facts: Sequence[FileFacts], *, near: bool, overlaps: Array | None = None) -> dict[str, list[list[int]]]:
    """Returns clusters of places by kind, each with the kinds before: `exact_duplicate`, `near_duplicate`, `overlap`.

    The second kind is there if `near`, the third if pairs (M, 2) of places that overlap are given.
    """
    readable = [place for place, file in enumerate(facts) if not file.problem]
    exact = [[readable[k] for k in group] for group in exact_copies([facts[place].digest for place in readable])]
    clusters_of = {"exact_duplicate": exact}
    if not facts:
        return clusters_of
    pairs = [pair for group in exact for pair in itertools.pairwise(group)]
    if near:
        pairs += near_copies(np.stack([file.print for file in facts]))[0].tolist()
        clusters_of["near_duplicate"] = clusters(len(facts), pairs)
    if overlaps is not None:
        clusters_of["overlap"] = clusters(len(facts), [*pairs, *overlaps.tolist()])
    return clusters_of


def near_copies(prints: Array, *, similar: float = SIMILAR) -> tuple[Array, Array]:
    """Returns pairs (M, 2) of fingerprints (N, SIDE, SIDE) that show the same picture, and their correlation (M,).

    The pictures may be mirrored or turned by quarters. Fingerprints of zeros, one colour, are copies of nothing.
    """
    places = np.flatnonzero(prints.any(axis=(1, 2)))
    distance = float(np.sqrt(2 - 2 * similar))  # of unit vectors with that correlation
    pairs = places[close_pairs(invariant_keys(prints[places]), distance)]
    correlations = [np.empty(0, np.float32)]
    for start in range(0, len(pairs), BLOCK):
        block = pairs[start : start + BLOCK]
        correlations.append(similarity(prints[block[:, 0]], prints[block[:, 1]]))
    correlation = np.concatenate(correlations)
    return pairs[correlation >= similar], correlation[correlation >= similar]


def clusters(count: int, pairs: Iterable[Sequence[int]]) -> list[list[int]]:
    """Returns the clusters of places 0..count-1 that `pairs` connect: sorted lists longer than one, by first place."""
    first, second = np.array([*pairs], np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    members: dict[int, list[int]] = defaultdict(list)
    for place, cluster in enumerate(connected_components(graph, directed=False)[1].tolist()):
        members[cluster].append(place)
    return [group for group in members.values() if len(group) > 1]


def groups_of(clusters: Clusters, names: Sequence[str]) -> list[str]:
    """Returns a group for each image: the name of its cluster's first member, or its own if it stands alone."""
    first = {member: cluster[0] for cluster in clusters for member in cluster}
    return [names[first.get(place, place)] for place in range(len(names))]
