"""What was found in a photograph, divided by who reads it, and its file: inspection.json."""

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

WRITTEN = ("file_bytes", "file_mtime_ns")  # of the photograph
DONE = "inspection.json"  # written last: what has it needs not be done again
TEXTS = ("name", "path", "error", "note", "fault", "scale", "key", "map_key")
NUMBERS = ("width_px", "height_px", "seconds", "longest_px", "scale_deviation", "crack_length_px", *WRITTEN)
MAYBE_NUMBERS = ("peak", "share", "regions", "mm_per_px", "threshold", "cracks", "crack_length_mm")
NOT_NEGATIVE = (*NUMBERS, *MAYBE_NUMBERS)
MOST_PIXELS = 2 * 10**9  # of a photograph
DAMAGED = (OSError, ValueError, TypeError, KeyError, RecursionError)  # reading one raises
SEVERITY = ("cracked", "review", "error", "unread", "sound")


@dataclass(frozen=True)
class Marks:
    """For tables and reports: the highest probability, the share of the surface that is marked, None where people said
    what is, how many regions there are, the length of the longest, and length, area and peak of the largest."""

    peak: float
    share: float | None
    regions: int
    longest_px: float
    largest: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class CrackSums:
    """For tables and reports: how many cracks there are, their length, and what is said of the longest."""

    number: int
    length_px: float
    length_mm: float | None
    figures: Sequence[str]


@dataclass(frozen=True)
class KnownScale:
    """Millimetres a pixel, where that is from, and by which share it is uncertain."""

    mm_per_px: float
    source: str
    deviation: float


@dataclass(frozen=True)
class MapPlaces:
    """For whoever shows or reads the map: row r and column c lie at top + r * down, left + c * across, in pixels.

    `tile_px` is the side of the tiles of tiles.csv where values are those of cells; None where windows were judged.
    """

    top_px: float
    left_px: float
    down_px: float
    across_px: float
    window_px: float
    tile_px: float | None = None


@dataclass(frozen=True)
class MadeOf:
    """For whoever asks whether results still hold: `key` changes with the file and what changes them, `map_key` with
    what changes the map; the file's bytes and time when it was inspected; the threshold that it was marked at;
    `picture` is what `picture_of` gives, empty of results before that was kept."""

    key: str = ""
    map_key: str = ""
    file_bytes: int = 0
    file_mtime_ns: int = 0
    threshold: float | None = None
    picture: str = ""


@dataclass(frozen=True)
class Inspected:
    """A photograph and what was found: `note` is what else the reader must know, `fault` what could not be done of what
    was asked for. `cracks` is None where windows were judged, `marks` where there are no results."""

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
        """Whether there is a crack map of it, whose cells are kept."""
        return self.grid is not None and self.grid.tile_px is not None

    @property
    def mm_per_px(self) -> float | None:
        """None where the scale is not known."""
        return None if self.scale is None else self.scale.mm_per_px

    def is_of_file(self, path: Path) -> bool:
        """Returns whether the file is there and has the size and time that it had when it was inspected."""
        try:
            found = path.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.made_of.file_bytes, self.made_of.file_mtime_ns)

    def is_of(self, path: Path, grey: np.ndarray) -> bool:
        """Returns whether the file `path` with grey levels (h, w) uint8 holds the picture that was inspected: it may be
        another one of its name, of its size and time even."""
        same_size = grey.shape == (self.height_px, self.width_px)
        return same_size and are_alike(self.made_of.picture, picture_of(path, grey))


def picture_of(path: Path, grey: np.ndarray) -> str:
    """Returns what a picture is recognised by: hashes of its file, and of its grey levels (h, w) uint8."""
    levels = hashlib.blake2b(np.ascontiguousarray(grey).data, digest_size=8).hexdigest()
    return f"{content_hash(path)[:16]}-{levels}"


def are_alike(one: str, other: str) -> bool:
    """Returns whether two of `picture_of` are of one picture: the same file, which another version of a library may
    decode to other levels, or the same levels, in a file in which a tag was changed. An empty one may be of any."""
    return not one or not other or bool(set(one.split("-")) & set(other.split("-")))


def unread(path: Path) -> Inspected:
    """The row of a photograph of a kind that is not read here."""
    return Inspected(path.name, str(path), "unread", note=why_unread(path.name))


def known_scale(scale: Scale | None) -> KnownScale | None:
    """What is kept of a scale."""
    return None if scale is None else KnownScale(scale.mm_per_px, scale.source, scale.deviation)


def grid_of(heat: Heat) -> MapPlaces:
    """Where the values of a map lie."""
    down, across = (float(np.diff(middles[:2])[0]) if len(middles) > 1 else 0.0 for middles in (heat.y_px, heat.x_px))
    return MapPlaces(float(heat.y_px[0]), float(heat.x_px[0]), down, across, heat.window_px, heat.tile_px)


def facts_of(found: Inspected) -> dict[str, object]:
    """As inspection.json has it: flat, by the names that other programs know."""
    marks, cracks, scale, made, grid = found.marks, found.cracks, found.scale, found.made_of, found.grid
    places = None if grid is None else {key: value for key, value in asdict(grid).items() if value is not None}
    return {
        **{key: getattr(found, key) for key in ("name", "path", "verdict")},
        "peak": None if marks is None else marks.peak,
        "share": None if marks is None else marks.share,
        "regions": None if marks is None else marks.regions,
        "longest_px": 0.0 if marks is None else marks.longest_px,
        "mm_per_px": found.mm_per_px,
        **{key: getattr(found, key) for key in ("width_px", "height_px", "seconds", "error", "note", "fault")},
        "threshold": made.threshold,
        "scale": "" if scale is None else scale.source,
        "scale_deviation": 0.0 if scale is None else scale.deviation,
        "cracks": None if cracks is None else cracks.number,
        **{key: getattr(made, key) for key in ("key", "map_key", "file_bytes", "file_mtime_ns", "picture")},
        "heat_map": None if found.is_mapped else places,
        "crack_map": places if found.is_mapped else None,
        "measured": [] if marks is None else list(marks.largest),
        "crack_figures": [] if cracks is None else list(cracks.figures),
        "crack_length_px": 0.0 if cracks is None else cracks.length_px,
        "crack_length_mm": None if cracks is None else cracks.length_mm,
    }


def inspected_from(facts: Any) -> Inspected:
    """What `facts_of` was made of. Raises KeyError, TypeError or ValueError for what is no such mapping."""
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
    """Raise TypeError for what is not of the kind that `facts_of` writes."""
    figures, largest = facts["crack_figures"], facts["measured"]
    texts = (
        [facts[name] for name in TEXTS]
        + [facts.get("picture", "")]
        + (figures if isinstance(figures, list) else [None])
    )
    numbers = [facts[name] for name in NUMBERS] + [facts[name] for name in MAYBE_NUMBERS if facts[name] is not None]
    for each in largest if isinstance(largest, list) else [None]:
        numbers += each if isinstance(each, list) else [None]
    for places in (facts["crack_map"], facts["heat_map"]):
        numbers += places.values() if isinstance(places, dict) else [] if places is None else [None]
    if not all(isinstance(text, str) for text in texts) or any(math.isnan(number_of(each)) for each in numbers):
        raise TypeError("a value is not of its kind")


def _check_ranges(facts: Mapping[str, Any]) -> None:
    """Raise ValueError for what no inspection writes."""
    name, width, height = PurePosixPath(facts["name"]), facts["width_px"], facts["height_px"]
    if facts["verdict"] not in SEVERITY:
        raise ValueError(f"verdict {facts['verdict']!r}")
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise ValueError(f"name {facts['name']!r} is none of a photograph")
    if "\0" in facts["name"] + facts["path"]:
        raise ValueError("its name or path is none")
    least = 0 if facts["peak"] is None else 1  # of one that was inspected
    if not all(isinstance(side, int) and least <= side for side in (width, height)) or width * height > MOST_PIXELS:
        raise ValueError(f"a photograph of {width} x {height} pixels")
    if (negative := next((name for name in NOT_NEGATIVE if (facts[name] or 0) < 0), None)) is not None:
        raise ValueError(f"{negative} {facts[negative]}")


def kept_inspected(folder: Path, photograph: Photograph) -> Inspected | None:
    """What an earlier run found of a photograph, whose files lie in `folder`, by whatever options."""
    try:
        found = inspected_from(json.loads((folder / DONE).read_text(encoding="utf-8", errors="surrogateescape")))
    except DAMAGED:
        return None
    # Which photograph it is, and where, no file says.
    found = replace(found, name=photograph.name, path=str(photograph.path))
    return found if min(found.width_px, found.height_px) > 0 else None


def write_done(folder: Path, inspected: Inspected) -> None:
    """inspection.json, the last file of a photograph."""
    write_atomically(folder / DONE, (json.dumps(facts_of(inspected)) + "\n").encode("utf-8", "surrogateescape"))
