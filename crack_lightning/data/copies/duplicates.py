"""Finds copies among pictures and joins them to clusters: the same file, the same picture, or a shared part."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crack_lightning.data.copies.facts import FileFacts
from crack_lightning.data.copies.fingerprints import invariant_keys, similarity
from crack_lightning.data.copies.neighbours import close_pairs

MIN_CORRELATION = 0.95  # two pictures count as copies if their fingerprints have this correlation or more
BLOCK_PAIRS = 4096  # number of pairs compared at once

Array = np.ndarray
Clusters = Sequence[Sequence[int]]  # the indices of the pictures in each cluster


def exact_copies(hashes: Sequence[str]) -> list[list[int]]:
    """Returns clusters of files with the same content hash: sorted lists of two or more indices."""
    indices: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(hashes):
        indices[digest].append(index)
    return [group for group in indices.values() if len(group) > 1]


def find_copies(facts: Sequence[FileFacts], *, near: bool, overlaps: Array | None = None) -> dict[str, list[list[int]]]:
    """Returns clusters of indices by type of copy; each type includes the types before it.

    The types are `exact_duplicate`; `near_duplicate`, if `near`; `overlap`, if the pairs of indices (M, 2) that overlap
    are given.
    """
    readable = [index for index, file in enumerate(facts) if not file.problem]
    exact = [[readable[k] for k in cluster] for cluster in exact_copies([facts[index].digest for index in readable])]
    clusters_of = {"exact_duplicate": exact}
    if not facts:
        return clusters_of
    pairs = [pair for cluster in exact for pair in itertools.pairwise(cluster)]
    if near:
        pairs += near_copies(np.stack([file.fingerprint for file in facts]))[0].tolist()
        clusters_of["near_duplicate"] = connected_clusters(len(facts), pairs)
    if overlaps is not None:
        clusters_of["overlap"] = connected_clusters(len(facts), [*pairs, *overlaps.tolist()])
    return clusters_of


def near_copies(prints: Array, *, min_correlation: float = MIN_CORRELATION) -> tuple[Array, Array]:
    """Returns index pairs (M, 2) of fingerprints (N, SIDE, SIDE) of the same picture, and their correlations (M,).

    One picture may be the other mirrored or turned by 90, 180 or 270 degrees. A picture of one colour, whose
    fingerprint is all zeros, is in no pair.
    """
    indices = np.flatnonzero(prints.any(axis=(1, 2)))
    distance = float(np.sqrt(2 - 2 * min_correlation))  # between unit vectors with that correlation
    pairs = indices[close_pairs(invariant_keys(prints[indices]), distance)]
    correlations = [np.empty(0, np.float32)]
    for start in range(0, len(pairs), BLOCK_PAIRS):
        block = pairs[start : start + BLOCK_PAIRS]
        correlations.append(similarity(prints[block[:, 0]], prints[block[:, 1]]))
    correlation = np.concatenate(correlations)
    enough = correlation >= min_correlation
    return pairs[enough], correlation[enough]


def connected_clusters(count: int, pairs: Iterable[Sequence[int]]) -> list[list[int]]:
    """Returns the clusters that `pairs` of indices from 0 to count-1 connect: sorted lists of two or more indices.

    The clusters are sorted by their first index.
    """
    first, second = np.array([*pairs], np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    members: dict[int, list[int]] = defaultdict(list)
    for index, cluster in enumerate(connected_components(graph, directed=False)[1].tolist()):
        members[cluster].append(index)
    return [group for group in members.values() if len(group) > 1]


def groups_of(clusters: Clusters, names: Sequence[str]) -> list[str]:
    """Returns a group for each image: the name of the first image in its cluster, or its own name if it is in none."""
    first = {member: cluster[0] for cluster in clusters for member in cluster}
    return [names[first.get(index, index)] for index in range(len(names))]
