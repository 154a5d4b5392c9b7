"""Crops of one photograph that share a part of it, mirrored and turned by quarters too.

Places that stand out are matched with the most similar ones of other pictures; each match says how the two would lie,
and the correlation of what they then share says whether they do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crack_lightning.data.copies.fingerprints import orientations
from crack_lightning.data.copies.local_features import SMALL_PX, WINDOW_PX, LocalFeatures, read_local_features
from crack_lightning.data.copies.neighbours import nearest_others
from crack_lightning.system.processes import in_processes

SIMILAR = 0.75  # correlation of two windows, from which on they are looked at more closely
PROMISING = 0.45  # of every second pixel that would be shared, from which on shifts by a pixel are tried
CORRELATED = 0.8  # of all that is shared, from which on two pictures are taken for parts of one photograph
LEAST_SHARE = 0.15  # of a picture; of two cracks a smaller part may look alike by chance
BLOCK = 1024  # pairs compared at a time
SHIFTS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]

Array = np.ndarray


@dataclass(frozen=True)
class Matches:
    """Picture `one` (M,), turned as `orientation` (M,) says, shows at (r, c) what `other` (M,) has at (r, c) + `shift`.

    `orientation` counts as `orientations` does; `shift` (M, 2) is rows and columns of pictures of SMALL_PX.
    """

    one: Array
    other: Array
    orientation: Array
    shift: Array

    def __getitem__(self, places: Array) -> "Matches":
        return Matches(self.one[places], self.other[places], self.orientation[places], self.shift[places])


def find_overlaps(paths: Sequence[Path], *, workers: int | None) -> Array:
    """Pairs (M, 2) of places in `paths`, first below second, whose pictures share at least LEAST_SHARE of each."""
    return overlapping(in_processes(read_local_features, paths, "reading crops", workers=workers))


def overlapping(features: Sequence[LocalFeatures]) -> Array:
    """As `find_overlaps`, of pictures that were read."""
    if sum(len(each.corners) for each in features) < 2:
        return np.empty((0, 2), np.int64)
    details = np.stack([each.detail for each in features])
    matches = _unlike(_matches(features), len(features))
    fit, _ = _agreement(details, matches, step=2)
    matches, fit = matches[fit >= PROMISING], fit[fit >= PROMISING]
    # Only the best match of a pair: what remains to find is one pixel.
    best = np.argsort(-fit, kind="stable")
    pairs = np.sort(np.stack([matches.one, matches.other], axis=1), axis=1)
    _, first = np.unique(pairs[best], axis=0, return_index=True)
    matches, pairs = matches[best[first]], pairs[best[first]]
    tried = [_agreement(details, _moved(matches, shift), step=1) for shift in SHIFTS]
    fits = np.where(np.stack([share for _, share in tried]) >= LEAST_SHARE, np.stack([fit for fit, _ in tried]), -1)
    return pairs[fits.max(axis=0) >= CORRELATED].astype(np.int64)


def _matches(features: Sequence[LocalFeatures]) -> Matches:
    """Each place with the most similar one of another picture, in each orientation."""
    owners = np.concatenate([np.full(len(each.corners), k) for k, each in enumerate(features)])
    corners = np.concatenate([each.corners for each in features]).astype(np.int64)
    descriptors = np.concatenate([each.descriptors for each in features]).astype(np.float32)
    points = descriptors.reshape(len(descriptors), -1)
    found = []
    for number in range(8):
        queries = _turned(descriptors, number).reshape(points.shape)
        place, near = nearest_others(points, owners, queries, probes=2)
        asked = np.flatnonzero(near >= SIMILAR)
        place = place[asked]
        shift = corners[place] - _turned_corners(corners[asked], number)
        found.append((owners[asked], owners[place], np.full(len(asked), number), shift))
    return Matches(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _turned(descriptors: Array, number: int) -> Array:
    blocks = np.array_split(descriptors, max(1, len(descriptors) // 4096))
    return np.concatenate([np.ascontiguousarray(orientations(block)[:, number]) for block in blocks])


def _turned_corners(corners: Array, number: int) -> Array:
    """Upper left corners (M, 2) of windows after their picture was turned."""
    found = corners[:, ::-1].copy() if number >= 4 else corners.copy()
    for axis, reversed_ in enumerate((number % 4 >= 2, number % 2 == 1)):
        if reversed_:
            found[:, axis] = SMALL_PX - WINDOW_PX - found[:, axis]
    return found


def _unlike(matches: Matches, count: int) -> Matches:
    """Matches without those that say the same of the same two pictures."""
    size = 2 * SMALL_PX
    key = (matches.one * count + matches.other) * 8 + matches.orientation
    key = (key * size + matches.shift[:, 0] + SMALL_PX) * size + matches.shift[:, 1] + SMALL_PX
    return matches[np.unique(key, return_index=True)[1]]


def _moved(matches: Matches, shift: tuple[int, int]) -> Matches:
    return Matches(matches.one, matches.other, matches.orientation, matches.shift + np.array(shift))


def _agreement(details: Array, matches: Matches, *, step: int) -> tuple[Array, Array]:
    """Correlation (M,) of what two pictures share, and the part (M,) of each that it is; by every `step`th pixel."""
    fits, shares = np.empty(len(matches.one), np.float32), np.empty(len(matches.one), np.float32)
    for number in range(8):
        for places in _blocks(np.flatnonzero(matches.orientation == number)):
            some = matches[places]
            one = _upright(torch.from_numpy(details[some.one]), number)
            other = torch.from_numpy(details[some.other])
            fit, share = _correlation(one, other, torch.from_numpy(some.shift), step)
            fits[places], shares[places] = fit.numpy(), share.numpy()
    return fits, shares


def _blocks(places: Array) -> Iterator[Array]:
    for start in range(0, len(places), BLOCK):
        yield places[start : start + BLOCK]


def _upright(pictures: Tensor, number: int) -> Tensor:
    """(N, h, w) turned as `orientations` numbers it."""
    turned = pictures.transpose(1, 2) if number >= 4 else pictures
    axes = [axis for axis, flipped in ((1, number % 4 >= 2), (2, number % 2 == 1)) if flipped]
    return turned.flip(axes) if axes else turned


def _correlation(one: Tensor, other: Tensor, shift: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Of pictures (N, SMALL_PX, SMALL_PX) int8, `other` read at `shift` (N, 2)."""
    steps = torch.arange(0, SMALL_PX, step)
    rows, columns = steps + shift[:, :1], steps + shift[:, 1:]  # (N, n)
    inside_rows, inside_columns = (rows >= 0) & (rows < SMALL_PX), (columns >= 0) & (columns < SMALL_PX)
    inside = (inside_rows[:, :, None] & inside_columns[:, None, :]).float()
    rows, columns = rows.clamp(0, SMALL_PX - 1), columns.clamp(0, SMALL_PX - 1)
    each = torch.arange(len(one))[:, None, None]
    a = (one[:, ::step, ::step].float() * inside).flatten(1)
    b = (other[each, rows[:, :, None], columns[:, None, :]].float() * inside).flatten(1)
    count = inside.flatten(1).sum(dim=1).clamp(min=1)
    mean_a, mean_b = a.sum(dim=1) / count, b.sum(dim=1) / count
    variance_a, variance_b = (a * a).sum(dim=1) / count - mean_a**2, (b * b).sum(dim=1) / count - mean_b**2
    covariance = (a * b).sum(dim=1) / count - mean_a * mean_b
    return covariance / (variance_a * variance_b).clamp(min=1.0).sqrt(), count / len(steps) ** 2
