"""Computes fingerprints of pictures: a few numbers that re-encoding, resizing and other light hardly change.

They are the lowest cosine frequencies of the grey picture. Perceptual hashes keep only the signs of these, but concrete
is so even that signs are not stable. The three frequencies of mean brightness and of the linear shading of a wall that
is lit from one side are set to 0.
"""

import numpy as np
from PIL import Image
from scipy.fft import dctn

SIDE = 12  # number of frequencies in each direction
GREY_PX = 48  # side of the square to which the picture is resized first

Array = np.ndarray


def fingerprint(image: Image.Image) -> Array:
    """Returns the fingerprint (SIDE, SIDE), float32 of unit length; all zeros for a picture of one colour."""
    grey = np.asarray(image.convert("L").resize((GREY_PX, GREY_PX), Image.Resampling.BOX), np.float32)
    frequencies = dctn(grey, norm="ortho")[:SIDE, :SIDE]
    frequencies[0, 0] = frequencies[0, 1] = frequencies[1, 0] = 0
    length = float(np.linalg.norm(frequencies))
    return frequencies / length if length > 1e-3 else np.zeros_like(frequencies)


def orientations(prints: Array) -> Array:
    """Returns the fingerprints (N, 8, D, D) of the eight mirrored and turned copies of pictures, from theirs (N, D, D).

    Copy 4 t + 2 v + h is transposed if t = 1, then flipped top to bottom if v = 1, and left to right if h = 1.
    """
    side = prints.shape[-1]
    sign = (-1.0) ** np.arange(side, dtype=np.float32)
    both_ways = np.stack([prints, prints.swapaxes(1, 2)], axis=1)  # (N, 2, D, D)
    signs = np.stack([np.outer(a, b) for a in (sign**0, sign) for b in (sign**0, sign)])  # (4, D, D)
    return (both_ways[:, :, None] * signs).reshape(len(prints), 8, side, side)


def invariant_keys(prints: Array) -> Array:
    """Returns keys (N, SIDE * SIDE), float32 of unit length, which are the same for all eight copies of a picture.

    Mirroring changes signs of frequencies, and turning also exchanges the two directions; so the keys hold the sum and
    difference of absolute values in the two directions. Two keys are no farther apart than the fingerprints of the two
    pictures in the orientation that fits best.
    """
    amount = np.abs(prints)
    upper = np.triu_indices(SIDE, 1)
    above, below = amount[:, upper[0], upper[1]], amount[:, upper[1], upper[0]]
    diagonal = amount[:, np.arange(SIDE), np.arange(SIDE)]
    root = np.float32(np.sqrt(0.5))
    return np.concatenate([diagonal, (above + below) * root, np.abs(above - below) * root], axis=1)


def similarity(first: Array, other: Array) -> Array:
    """Returns the correlations (N,), -1 to 1, of fingerprints (N, SIDE, SIDE) in the orientation that fits best."""
    turned = orientations(first).reshape(len(first), 8, -1)
    return np.einsum("noc,nc->no", turned, other.reshape(len(other), -1)).max(axis=1)
