"""Fingerprints of pictures: a few numbers that re-encoding, resizing and other light hardly change.

They are the lowest cosine frequencies of the picture in grey (as in perceptual hashes, but kept as numbers: concrete is
too even for their signs to be stable), without brightness and the linear shading of a wall lit from one side.
"""

import numpy as np
from PIL import Image
from scipy.fft import dctn

SIDE = 12  # frequencies each way
GREY_PX = 48  # the picture is resized to this first

Array = np.ndarray


def fingerprint(image: Image.Image) -> Array:
    """Returns (SIDE, SIDE) float32 of unit length; zeros for a picture of one colour."""
    grey = np.asarray(image.convert("L").resize((GREY_PX, GREY_PX), Image.Resampling.BOX), np.float32)
    frequencies = dctn(grey, norm="ortho")[:SIDE, :SIDE]
    frequencies[0, 0] = frequencies[0, 1] = frequencies[1, 0] = 0
    length = float(np.linalg.norm(frequencies))
    return frequencies / length if length > 1e-3 else np.zeros_like(frequencies)


def orientations(prints: Array) -> Array:
    """Returns frequencies (N, 8, D, D) of the eight mirrored and turned copies of each picture, from its own (N, D, D).

    Number 4 t + 2 v + h is transposed if t, then turned upside down if v and mirrored if h.
    """
    side = prints.shape[-1]
    sign = (-1.0) ** np.arange(side, dtype=np.float32)
    both = np.stack([prints, prints.swapaxes(1, 2)], axis=1)  # (N, 2, D, D)
    signs = np.stack([np.outer(a, b) for a in (sign**0, sign) for b in (sign**0, sign)])  # (4, D, D)
    return (both[:, :, None] * signs).reshape(len(prints), 8, side, side)


def invariant_keys(prints: Array) -> Array:
    """Returns (N, SIDE * SIDE) float32 of unit length, the same for all eight mirrored and turned copies.

    Mirroring changes signs of frequencies, turning exchanges the two directions: sum and difference of their absolute
    values remain. Keys are no farther apart than the fingerprints of the best fitting copies.
    """
    amount = np.abs(prints)
    upper = np.triu_indices(SIDE, 1)
    above, below = amount[:, upper[0], upper[1]], amount[:, upper[1], upper[0]]
    diagonal = amount[:, np.arange(SIDE), np.arange(SIDE)]
    root = np.float32(np.sqrt(0.5))
    return np.concatenate([diagonal, (above + below) * root, np.abs(above - below) * root], axis=1)


def similarity(first: Array, other: Array) -> Array:
    """Returns the correlation (N,) of fingerprints (N, SIDE, SIDE) in the best fitting orientation, -1..1."""
    turned = orientations(first).reshape(len(first), 8, -1)
    return np.einsum("noc,nc->no", turned, other.reshape(len(other), -1)).max(axis=1)
