"""Describes cracks for other programs: as COCO annotations, and as predictions for Label Studio."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import numpy as np
import shapely

from crack_lightning.measurement.classes import UNKNOWN_NAME
from crack_lightning.measurement.record import CRACK_KIND, OTHER_KINDS, CrackFacts, CrackRecord

MIN_WIDTH_PX = 2.0  # least width of a polygon, also used for a crack of unknown width
MIN_PART_AREA_PX = 0.5  # square pixels; smaller polygons are scraps from cutting, and are dropped
DESCRIPTION = (
    "Cracks marked by crack_lightning. Coordinates are pixels of the upright photograph: a file whose exif_orientation "
    "is not 1 has to be turned as it says when it is read."
)
# Facts about a crack in the COCO file.
ATTRIBUTES = ("id", "length_px", "width_px", "length_mm", "width_mm", "kind", "note")
SIMPLIFY_PX = 0.25  # largest shift of an outline by its simplification


@dataclass(frozen=True)
class Drawn:
    """A photograph with its cracks. `size` (width, height) is that of the upright photograph, `records` describe its
    cracks, and `orientation` is the EXIF orientation of its file, 1 to 8."""

    name: str
    size: tuple[int, int]
    records: Sequence[CrackRecord]
    orientation: int = 1


def outlines(record: CrackRecord, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yields polygons (n, 2) without holes around the lines of a crack, as wide as the crack, within the photograph."""
    width = record.width_px.median or MIN_WIDTH_PX
    lines = shapely.MultiLineString([line for line in record.lines if len(line) > 1])
    area = shapely.intersection(lines.buffer(max(width, MIN_WIDTH_PX) / 2), shapely.box(0, 0, *size))
    for part in _without_holes(shapely.simplify(area, SIMPLIFY_PX)):
        yield np.array(part.exterior.coords)[:-1]


def _without_holes(area: shapely.Geometry) -> Iterator[shapely.Polygon]:
    """Yields the polygons of an area, cut through their holes, since neither COCO nor Label Studio supports holes."""
    for part in shapely.get_parts(area):
        if part.geom_type != "Polygon" or part.area < MIN_PART_AREA_PX:
            continue
        if not part.interiors:
            yield part
            continue
        left, top, right, bottom = part.bounds
        middle = sorted(hole.centroid.x for hole in part.interiors)[len(part.interiors) // 2]
        for box in (shapely.box(left, top, middle, bottom), shapely.box(middle, top, right, bottom)):
            yield from _without_holes(shapely.intersection(part, box))


def coco(drawn: Sequence[Drawn], class_names: Sequence[str], *, version: str) -> dict[str, Any]:
    """Returns the annotations in the COCO format: polygons as wide as the cracks, in pixels of the upright photograph.

    Category 1 is for cracks of unknown width; the width classes follow, the narrowest first, then joint, spall and
    other, as people called them. These numbers are always the same.
    """
    categories = {name: number for number, name in enumerate([UNKNOWN_NAME, *class_names, *OTHER_KINDS], 1)}
    images, annotations = [], list[dict[str, Any]]()
    for number, photo in enumerate(drawn, 1):
        (width, height), orientation = photo.size, photo.orientation
        image: dict[str, object] = {"id": number, "file_name": photo.name, "width": width, "height": height}
        images.append(image | {"license": 1, "exif_orientation": orientation})
        for record in photo.records:
            polygons = list(outlines(record, photo.size))
            if polygons:
                annotations.append(_annotation(len(annotations) + 1, number, categories, record.facts(), polygons))
    listed = [
        {"id": number, "name": name, "supercategory": name if name in OTHER_KINDS else CRACK_KIND}
        for name, number in categories.items()
    ]
    now = datetime.now()
    info: dict[str, object] = {
        "description": DESCRIPTION,
        "version": version,
        "contributor": "crack_lightning",
        "url": "",
    }
    info |= {"year": now.year, "date_created": f"{now:%Y-%m-%d %H:%M:%S}"}
    licences = [{"id": 1, "name": "that of the photographs", "url": ""}]
    return {
        "info": info,
        "licenses": licences,
        "images": images,
        "annotations": annotations,
        "categories": listed,
    }


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
        "category_id": categories[facts.kind if facts.kind in OTHER_KINDS else facts.width_class or UNKNOWN_NAME],
        "segmentation": [np.round(polygon, 2).ravel().tolist() for polygon in polygons],
        "area": round(sum(shapely.Polygon(polygon).area for polygon in polygons), 2),
        "bbox": np.round([*low, *(high - low)], 2).tolist(),
        "iscrowd": 0,
        "score": facts.mean_probability if facts.probability is None else facts.probability,
        "attributes": {name: getattr(facts, name) for name in ATTRIBUTES},
    }


def label_studio(drawn: Sequence[Drawn], *, version: str, prefix: str = "") -> list[dict[str, Any]]:
    """Returns a task for each photograph, whose prediction is polygons labelled `crack`.

    With a `prefix`, the address of a photograph is the prefix and its name, from which Label Studio loads it.
    """
    return [
        {
            "data": {"image": prefix + quote(photo.name, errors="surrogateescape") if prefix else photo.name},
            "predictions": [
                {
                    "model_version": f"crack_lightning {version}",
                    "result": list(_label_studio_polygons(photo)),
                    "score": _highest_score(photo),
                }
            ],
        }
        for photo in drawn
    ]


def _highest_score(photo: Drawn) -> float:
    return max((record.facts().mean_probability for record in photo.records), default=0.0)


def _label_studio_polygons(photo: Drawn) -> Iterator[dict[str, Any]]:
    size = np.array(photo.size, float)
    for record in photo.records:
        for part, polygon in enumerate(outlines(record, photo.size)):
            yield {
                "id": f"crack-{record.number}-{part}",
                "from_name": "label",
                "to_name": "image",
                "type": "polygonlabels",
                "original_width": photo.size[0],
                "original_height": photo.size[1],
                "image_rotation": 0,
                "value": {
                    "points": np.round(polygon / size * 100, 4).tolist(),
                    "polygonlabels": [record.kind or CRACK_KIND],
                    "closed": True,
                },
                "score": record.facts().mean_probability,
            }
