"""Cracks of known course and width, drawn onto photographs for measuring."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from crack_lightning.data.synthetic.drawn_cracks import jagged_line
from crack_lightning.measurement.paths import resampled

Array = np.ndarray

SUB = 4  # parts of a pixel each way
FINE_PX = 0.25  # between points of a line
MARGIN_PX = 30
SURROUNDINGS_PX = 41  # whose mean brightness a crack is dark against


def jagged(
    rng: np.random.Generator, size: tuple[int, int], length: float, *, roughness: float, tries: int = 500
) -> Array:
    """Points (65, 2) of a line whose middles are moved aside again and again, within a picture of `size` (w, h)."""
    high = np.array(size, float) - MARGIN_PX
    for _ in range(tries):
        angle, start = rng.uniform(0, 2 * np.pi), rng.uniform(MARGIN_PX, high)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        points = jagged_line(rng, start, end, roughness=roughness)
        if points.min() > MARGIN_PX and (points < high).all():
            return points
    raise ValueError(f"no line of {length:.0f} px fits into {size}")


def with_crack(picture: Array, line: Array, width: float, *, contrast: float, blur: float) -> Array:
    """The picture (h, w, 3) float32 with a gap of constant `width` along a line, darker by the share `contrast` than
    what surrounds it, blurred by a Gaussian of `blur` pixels."""
    height, across = picture.shape[:2]
    fine = resampled(line, FINE_PX)
    low = np.maximum(np.floor(fine.min(axis=0) - width - 12).astype(int), 0)
    high = np.minimum(np.ceil(fine.max(axis=0) + width + 12).astype(int), [across, height])
    (left, top), (right, bottom) = low, high
    bare = np.ones((bottom - top, right - left), bool)
    columns, rows = np.floor(fine - low).astype(int).T
    bare[rows, columns] = False
    y, x = np.nonzero(ndimage.distance_transform_edt(bare) < width / 2 + 3)
    parts = (np.arange(SUB) + 0.5) / SUB
    places = np.stack(np.broadcast_arrays(x[:, None, None] + parts, y[:, None, None] + parts[:, None]), axis=-1)
    distance, _ = cKDTree(fine - low).query(places.reshape(-1, 2))
    cover = np.zeros(bare.shape)
    cover[y, x] = np.clip((width / 2 - distance) * SUB + 0.5, 0, 1).reshape(len(y), -1).mean(axis=1)
    cover = ndimage.gaussian_filter(cover, blur)[..., None]
    found = picture.astype(np.float32).copy()
    part = found[top:bottom, left:right]
    inside = ndimage.uniform_filter(part, (SURROUNDINGS_PX, SURROUNDINGS_PX, 1)) * (1 - contrast)
    part[:] = part * (1 - cover) + cover * inside
    return found
