"""Finds the connected regions where a heat map reaches the threshold, as polygons."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from contourpy import FillType, contour_generator

from crack_lightning.inference.heat import Heat
from crack_lightning.measurement.record import IN_PIXELS

Array = np.ndarray


@dataclass(frozen=True)
class Region:
    """A region of a photograph.

    `polygon`: x and y in pixels. `length_px`: its extent along its main axis.
    `peak`, `mean`: the highest and the mean probability inside.
    """

    polygon: shapely.Polygon
    area_px: float
    length_px: float
    peak: float
    mean: float


def regions(heat: Heat, threshold: float) -> list[Region]:
    """Returns the regions where the probability is at least `threshold`, the largest first."""
    y, x, z = _to_the_edges(heat)
    lines = contour_generator(x, y, z, fill_type=FillType.OuterOffset).filled(threshold, np.inf)
    all_regions = []
    for points, offsets in zip(*lines, strict=True):
        rings = [points[start:end] for start, end in itertools.pairwise(offsets)]
        polygon = shapely.Polygon(rings[0], rings[1:])
        peak, mean = _peak_and_mean(heat, polygon, threshold)
        all_regions.append(Region(polygon, polygon.area, _extent(rings[0]), peak, mean))
    return sorted(all_regions, key=lambda region: -region.area_px)


def _to_the_edges(heat: Heat) -> tuple[Array, Array, Array]:
    """Returns y, x and the probabilities; the outermost ones are repeated at the photograph's edges."""
    height, width = heat.size_hw
    y = np.concatenate([[0.0], np.clip(heat.y_px, 1e-3, height - 1e-3), [height]])
    x = np.concatenate([[0.0], np.clip(heat.x_px, 1e-3, width - 1e-3), [width]])
    return y, x, np.pad(heat.probability.astype(np.float64), 1, mode="edge")


def _extent(ring: Array) -> float:
    """Returns the extent of a ring along its main axis."""
    centred = ring - ring.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    along = centred @ axes[:, -1]
    return float(along.max() - along.min())


def _peak_and_mean(heat: Heat, polygon: shapely.Polygon, threshold: float) -> tuple[float, float]:
    """Returns the highest and the mean probability inside a polygon."""
    low, high = np.reshape(polygon.bounds, (2, 2))
    step = max(1.0, heat.window_px / 16, *((high - low) / 256))
    # The middles of windows are included, since the map is nowhere higher between them.
    x, y = (
        np.union1d(np.arange(a, b + step / 2, step), middles[(a <= middles) & (middles <= b)])
        for a, b, middles in zip(low, high, (heat.x_px, heat.y_px), strict=True)
    )
    values = heat.at(y, x)
    # Another region may lie within the same box, but not above the threshold inside these outlines.
    inside = shapely.contains_xy(polygon, *np.meshgrid(x, y)) & (values >= threshold)
    chosen = values[inside] if inside.any() else np.array([threshold])
    return float(chosen.max()), float(chosen.mean())


def geojson(listed: Sequence[Region], *, mm_per_px: float | None) -> dict[str, Any]:
    """Returns a FeatureCollection. A foreign member names the coordinates: RFC 7946 expects longitude and latitude."""
    facts = {"coordinates": IN_PIXELS, **({} if mm_per_px is None else {"mm_per_px": mm_per_px})}
    return {
        "type": "FeatureCollection",
        "crack_lightning": facts,
        "features": [_feature(k, region, mm_per_px) for k, region in enumerate(listed, 1)],
    }


def _feature(number: int, region: Region, mm_per_px: float | None) -> dict[str, Any]:
    geometry = _rounded(region.polygon, 1.0)
    properties: dict[str, Any] = {
        "region": number,
        "peak_probability": round(region.peak, 6),
        "mean_probability": round(region.mean, 6),
        "area_px": round(region.area_px, 1),
        "length_px": round(region.length_px, 1),
    }
    if mm_per_px is not None:
        properties |= {
            "area_mm2": round(region.area_px * mm_per_px**2, 1),
            "length_mm": round(region.length_px * mm_per_px, 1),
            "outline_mm": _rounded(region.polygon, mm_per_px)["coordinates"],
        }
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _rounded(polygon: shapely.Polygon, factor: float) -> dict[str, Any]:
    scaled = shapely.transform(polygon, lambda xy: np.round(xy * factor, 2))
    return dict(shapely.geometry.mapping(scaled))
