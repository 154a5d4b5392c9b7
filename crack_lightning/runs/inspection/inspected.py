"""The findings of a photograph, and their file: inspection.json."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from crack_lightning.data.images.formats import why_unread
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.sources import Photograph
from crack_lightning.measurement.scale import Scale
from crack_lightning.system.files import content_hash, write_atomically
from crack_lightning.system.ranges import number_of

FILE_FACTS = ("file_bytes", "file_mtime_ns")  # of the photograph
DONE = "inspection.json"  # written last: a photograph that has it is done
TEXTS = ("name", "path", "error", "note", "fault", "scale", "key", "map_key")
NUMBERS = ("width_px", "height_px", "seconds", "longest_px", "scale_deviation", "crack_length_px", *FILE_FACTS)
OPTIONAL_NUMBERS = ("peak", "share", "regions", "mm_per_px", "threshold", "cracks", "crack_length_mm")
NOT_NEGATIVE = (*NUMBERS, *OPTIONAL_NUMBERS)
MOST_PIXELS = 2 * 10**9  # of a photograph
DAMAGED = (OSError, ValueError, TypeError, KeyError, RecursionError)  # what reading a damaged file raises
SEVERITY = ("cracked", "review", "error", "unread", "sound")


@dataclass(frozen=True)
class Marks:
    """The marks of a photograph: the highest probability, the share of the surface that is marked, None where people
    marked it, how many regions there are, the length of the longest, and length, area and peak of the largest."""

    peak: float
    share: float | None
    regions: int
    longest_px: float
    largest: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class CrackSums:
    """The cracks of a photograph in sum: how many there are, their length, and figures of the longest as text."""

    number: int
    length_px: float
    length_mm: float | None
    figures: Sequence[str]


@dataclass(frozen=True)
class KnownScale:
    """A scale in millimetres a pixel, its source, and by which share it is uncertain."""

    mm_per_px: float
    source: str
    deviation: float


@dataclass(frozen=True)
class MapPlaces:
    """The places of a map's values: row r and column c lie at top + r * down, left + c * across, in pixels.

    `tile_px` is the side of the tiles of tiles.csv where cells were marked; None where windows were judged.
    """

    top_px: float
    left_px: float
    down_px: float
    across_px: float
    window_px: float
    tile_px: float | None = None


@dataclass(frozen=True)
class MadeOf:
    """The facts by which results are known to hold still: `key` changes with whatever changes them, the file included,
    `map_key` with whatever changes the map; the file's bytes and time when it was inspected; the threshold at which it
    was marked; `picture` as `picture_of` returns it, empty in results of older versions."""

    key: str = ""
    map_key: str = ""
    file_bytes: int = 0
    file_mtime_ns: int = 0
    threshold: float | None = None
    picture: str = ""


@dataclass(frozen=True)
class Inspected:
    """A photograph and its findings: `note` is what else the reader must know, `fault` what was asked for and could not
    be done. `cracks` is None where windows were judged, `marks` where there are no results."""

    name: str
    path: str
    verdict: str
    width_px: int = 0
    height_px: int = 0
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    fault: str = ""
    marks: Marks | None = None
    cracks: CrackSums | None = None
    scale: KnownScale | None = None
    grid: MapPlaces | None = None
    made_of: MadeOf = MadeOf()

    @property
    def is_mapped(self) -> bool:
        """Returns whether there is a crack map of it, whose cells are kept."""
        return self.grid is not None and self.grid.tile_px is not None

    @property
    def mm_per_px(self) -> float | None:
        """Returns the scale; None where it is not known."""
        return None if self.scale is None else self.scale.mm_per_px

    def is_of_file(self, path: Path) -> bool:
        """Returns whether the file is there and has the size and time that it had when it was inspected."""
        try:
            stat = path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.made_of.file_bytes, self.made_of.file_mtime_ns)

    def is_of(self, path: Path, grey: np.ndarray) -> bool:
        """Returns whether the file `path` with grey levels (h, w) uint8 holds the picture that was inspected: another
        one may have its name, and even its size and time."""
        same_size = grey.shape == (self.height_px, self.width_px)
        return same_size and are_alike(self.made_of.picture, picture_of(path, grey))


def picture_of(path: Path, grey: np.ndarray) -> str:
    """Returns what identifies a picture: a hash of its file, and one of its grey levels (h, w) uint8."""
    levels = hashlib.blake2b(np.ascontiguousarray(grey).data, digest_size=8).hexdigest()
    return f"{content_hash(path)[:16]}-{levels}"


def are_alike(first: str, other: str) -> bool:
    """Returns whether two results of `picture_of` are of one picture: the same file, which another version of a library
    may decode to other levels, or the same levels, in a file whose tags changed. An empty one is alike to any."""
    return not first or not other or bool(set(first.split("-")) & set(other.split("-")))


def unread(path: Path) -> Inspected:
    """Returns the row of a photograph of a kind that cannot be read."""
    return Inspected(path.name, str(path), "unread", note=why_unread(path.name))


def known_scale(scale: Scale | None) -> KnownScale | None:
    """Returns what is kept of a scale."""
    return None if scale is None else KnownScale(scale.mm_per_px, scale.source, scale.deviation)


def grid_of(heat: Heat) -> MapPlaces:
    """Returns the places of a map's values."""
    down, across = (float(np.diff(middles[:2])[0]) if len(middles) > 1 else 0.0 for middles in (heat.y_px, heat.x_px))
    return MapPlaces(float(heat.y_px[0]), float(heat.x_px[0]), down, across, heat.window_px, heat.tile_px)


def facts_of(inspected: Inspected) -> dict[str, object]:
    """Returns the findings as they stand in inspection.json: flat, by the names that other programs know."""
    marks, cracks, scale, made_of, grid = (
        inspected.marks,
        inspected.cracks,
        inspected.scale,
        inspected.made_of,
        inspected.grid,
    )
    places = None if grid is None else {key: value for key, value in asdict(grid).items() if value is not None}
    return {
        **{key: getattr(inspected, key) for key in ("name", "path", "verdict")},
        "peak": None if marks is None else marks.peak,
        "share": None if marks is None else marks.share,
        "regions": None if marks is None else marks.regions,
        "longest_px": 0.0 if marks is None else marks.longest_px,
        "mm_per_px": inspected.mm_per_px,
        **{key: getattr(inspected, key) for key in ("width_px", "height_px", "seconds", "error", "note", "fault")},
        "threshold": made_of.threshold,
        "scale": "" if scale is None else scale.source,
        "scale_deviation": 0.0 if scale is None else scale.deviation,
        "cracks": None if cracks is None else cracks.number,
        **{key: getattr(made_of, key) for key in ("key", "map_key", "file_bytes", "file_mtime_ns", "picture")},
        "heat_map": None if inspected.is_mapped else places,
        "crack_map": places if inspected.is_mapped else None,
        "measured": [] if marks is None else list(marks.largest),
        "crack_figures": [] if cracks is None else list(cracks.figures),
        "crack_length_px": 0.0 if cracks is None else cracks.length_px,
        "crack_length_mm": None if cracks is None else cracks.length_mm,
    }


def inspected_from(facts: Any) -> Inspected:
    """Returns the findings from `facts_of`. Raises KeyError, TypeError or ValueError for anything else."""
    _check_kinds(facts)
    _check_ranges(facts)
    places = facts["crack_map"] or facts["heat_map"]
    grid = None if places is None else MapPlaces(**places)
    if (facts["crack_map"] is not None) != (grid is not None and grid.tile_px is not None):
        raise ValueError("its map has no places")
    marks = (facts["peak"], facts["share"], facts["regions"], facts["longest_px"], facts["measured"])
    sums = (facts["cracks"], facts["crack_length_px"], facts["crack_length_mm"], facts["crack_figures"])
    scale = (facts["mm_per_px"], facts["scale"], facts["scale_deviation"])
    plain = ("name", "path", "verdict", "width_px", "height_px", "seconds", "error", "note", "fault")
    return Inspected(
        **{key: facts[key] for key in plain},
        marks=None if facts["peak"] is None else Marks(*marks),
        cracks=None if facts["cracks"] is None else CrackSums(*sums),
        scale=None if facts["mm_per_px"] is None else KnownScale(*scale),
        grid=grid,
        made_of=MadeOf(**{field.name: facts.get(field.name, field.default) for field in fields(MadeOf)}),
    )


def _check_kinds(facts: Mapping[str, object]) -> None:
    """Raises TypeError for a value that is not of the kind that `facts_of` writes."""
    figures, largest = facts["crack_figures"], facts["measured"]
    texts = (
        [facts[name] for name in TEXTS]
        + [facts.get("picture", "")]
        + (figures if isinstance(figures, list) else [None])
    )
    numbers = [facts[name] for name in NUMBERS] + [facts[name] for name in OPTIONAL_NUMBERS if facts[name] is not None]
    for value in largest if isinstance(largest, list) else [None]:
        numbers += value if isinstance(value, list) else [None]
    for places in (facts["crack_map"], facts["heat_map"]):
        numbers += places.values() if isinstance(places, dict) else [] if places is None else [None]
    if not all(isinstance(text, str) for text in texts) or any(math.isnan(number_of(value)) for value in numbers):
        raise TypeError("a value is not of its kind")


def _check_ranges(facts: Mapping[str, Any]) -> None:
    """Raises ValueError for what no inspection writes."""
    name, width, height = PurePosixPath(facts["name"]), facts["width_px"], facts["height_px"]
    if facts["verdict"] not in SEVERITY:
        raise ValueError(f"verdict {facts['verdict']!r}")
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise ValueError(f"name {facts['name']!r} is none of a photograph")
    if "\0" in facts["name"] + facts["path"]:
        raise ValueError("its name or path is none")
    least_px = 0 if facts["peak"] is None else 1  # a photograph that was inspected has pixels
    if not all(isinstance(side, int) and least_px <= side for side in (width, height)) or width * height > MOST_PIXELS:
        raise ValueError(f"a photograph of {width} x {height} pixels")
    if (negative := next((name for name in NOT_NEGATIVE if (facts[name] or 0) < 0), None)) is not None:
        raise ValueError(f"{negative} {facts[negative]}")


def kept_inspected(folder: Path, photograph: Photograph) -> Inspected | None:
    """Returns what an earlier run, whatever its options, found in a photograph whose files lie in `folder`."""
    try:
        inspected = inspected_from(json.loads((folder / DONE).read_text(encoding="utf-8", errors="surrogateescape")))
    except DAMAGED:
        return None
    # A file is not trusted on which photograph it is of, and where that lies.
    inspected = replace(inspected, name=photograph.name, path=str(photograph.path))
    return inspected if min(inspected.width_px, inspected.height_px) > 0 else None


def write_done(folder: Path, inspected: Inspected) -> None:
    """Writes inspection.json, the last file of a photograph."""
    write_atomically(folder / DONE, (json.dumps(facts_of(inspected)) + "\n").encode("utf-8", "surrogateescape"))
