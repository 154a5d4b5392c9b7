"""Cracks as other programs take them for annotations: COCO, and predictions of Label Studio."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from crack_lightning.measurement.record import CrackFacts, CrackRecord

LEAST_WIDTH_PX = 2.0  # of a polygon around a line whose width is not claimed
UNCLASSED = "crack"
ATTRIBUTES = ("id", "length_px", "width_px", "length_mm", "width_mm")  # that COCO has room for
MERGED_PX = 0.25  # by which an outline may be simplified


@dataclass(frozen=True)
class Drawn:
    """The cracks of a photograph: its name, its size (width, height), and their records."""

    name: str
    size: tuple[int, int]
    records: Sequence[CrackRecord]


def outlines(record: CrackRecord, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Polygons (n, 2) around the lines of a crack, as wide as it is, within the photograph."""
    width = record.width_px.median or LEAST_WIDTH_PX
    lines = shapely.MultiLineString([line for line in record.lines if len(line) > 1])
    area = shapely.intersection(lines.buffer(max(width, LEAST_WIDTH_PX) / 2), shapely.box(0, 0, *size))
    for part in getattr(area, "geoms", [area]):
        if part.geom_type == "Polygon" and not part.is_empty:
            yield np.array(part.exterior.simplify(MERGED_PX).coords)[:-1]


def coco(drawn: Sequence[Drawn]) -> dict[str, Any]:
    """One category for each class of width, and one for cracks without; polygons as wide as the crack."""
    names = sorted({record.width_class or UNCLASSED for each in drawn for record in each.records})
    categories = {name: number for number, name in enumerate(names or [UNCLASSED], 1)}
    images, annotations = [], list[dict[str, Any]]()
    for number, each in enumerate(drawn, 1):
        images.append({"id": number, "file_name": each.name, "width": each.size[0], "height": each.size[1]})
        for record in each.records:
            polygons = list(outlines(record, each.size))
            if polygons:
                annotations.append(_annotation(len(annotations) + 1, number, categories, record.facts(), polygons))
    listed = [{"id": number, "name": name, "supercategory": "crack"} for name, number in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}


def _annotation(
    number: int,
    image: int,
    categories: Mapping[str, int],
    facts: CrackFacts,
    polygons: Sequence[np.ndarray],
) -> dict[str, Any]:
    points = np.concatenate(list(polygons))
    low, high = points.min(axis=0), points.max(axis=0)
    return {
        "id": number,
        "image_id": image,
        "category_id": categories[facts.width_class or UNCLASSED],
        "segmentation": [np.round(polygon, 2).ravel().tolist() for polygon in polygons],
        "area": round(sum(shapely.Polygon(polygon).area for polygon in polygons), 2),
        "bbox": np.round([*low, *(high - low)], 2).tolist(),
        "iscrowd": 0,
        "score": facts.mean_probability,
        "attributes": {name: getattr(facts, name) for name in ATTRIBUTES},
    }


def label_studio(drawn: Sequence[Drawn], *, version: str) -> list[dict[str, Any]]:
    """A task for each photograph, with a prediction of polygons; the labels of the project are named `crack`."""
    return [
        {
            "data": {"image": each.name},
            "predictions": [
                {"model_version": f"crack_lightning {version}", "result": list(_results(each)), "score": _score(each)}
            ],
        }
        for each in drawn
    ]


def _score(drawn: Drawn) -> float:
    return max((record.facts().mean_probability for record in drawn.records), default=0.0)


def _results(drawn: Drawn) -> Iterator[dict[str, Any]]:
    size = np.array(drawn.size, float)
    for record in drawn.records:
        for part, polygon in enumerate(outlines(record, drawn.size)):
            yield {
                "id": f"crack-{record.number}-{part}",
                "from_name": "label",
                "to_name": "image",
                "type": "polygonlabels",
                "original_width": drawn.size[0],
                "original_height": drawn.size[1],
                "image_rotation": 0,
                "value": {
                    "points": np.round(polygon / size * 100, 4).tolist(),
                    "polygonlabels": ["crack"],
                    "closed": True,
                },
                "score": record.facts().mean_probability,
            }
