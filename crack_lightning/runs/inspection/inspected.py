"""The findings about a photograph, and the file that holds them: inspection.json."""

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

FILE_KEYS = ("file_bytes", "file_mtime_ns")  # size and modification time of the photograph's file
DONE = "inspection.json"  # written last: if it exists, the photograph is finished
# Keys of inspection.json by the type of their value.
TEXT_KEYS = ("name", "path", "error", "note", "fault", "scale", "key", "map_key")
NUMBER_KEYS = ("width_px", "height_px", "seconds", "longest_px", "scale_deviation", "crack_length_px", *FILE_KEYS)
OPTIONAL_NUMBER_KEYS = ("peak", "share", "regions", "mm_per_px", "threshold", "cracks", "crack_length_mm")
NOT_NEGATIVE_KEYS = (*NUMBER_KEYS, *OPTIONAL_NUMBER_KEYS)
MAX_PIXELS = 2 * 10**9  # pixels of the largest photograph
READ_ERRORS = (OSError, ValueError, TypeError, KeyError, RecursionError)  # raised on reading a damaged file
VERDICTS = ("cracked", "review", "error", "unread", "sound")  # most severe first


@dataclass(frozen=True)
class Marks:
    """The marked regions of a photograph.

    `peak`: highest probability. `share`: marked share of the surface, None where people drew the marks. `regions`:
    number of regions. `longest_px`: length of the longest region. `largest`: length, area and peak of each of the
    largest regions.
    """

    peak: float
    share: float | None
    regions: int
    longest_px: float
    largest: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class CrackSums:
    """A summary of the likely cracks of a photograph: their `number`, their total length, and, as text, the figures of
    the first ones. `unlikely`: the number of marks that are probably no cracks."""

    number: int
    length_px: float
    length_mm: float | None
    figures: Sequence[str]
    unlikely: int = 0


@dataclass(frozen=True)
class KnownScale:
    """A scale in millimetres per pixel, its source, and its relative uncertainty (`deviation`)."""

    mm_per_px: float
    source: str
    deviation: float


@dataclass(frozen=True)
class MapPlaces:
    """The positions of a map's values in pixels: the value in row r and column c is at y = top + r * down and
    x = left + c * across.

    `tile_px` is the side of the tiles in tiles.csv for a crack map; None for the windows of a classifier.
    """

    top_px: float
    left_px: float
    down_px: float
    across_px: float
    window_px: float
    tile_px: float | None = None


@dataclass(frozen=True)
class MadeOf:
    """Facts that show whether kept results are still valid: `key` changes with anything that changes the results, the
    file included; `map_key` changes with anything that changes the map.

    `file_bytes` and `file_mtime_ns` are the file's size and modification time when it was inspected, `threshold` is the
    one used for marking. `picture` is what `picture_of` returned; it is empty in results of older versions.
    """

    key: str = ""
    map_key: str = ""
    file_bytes: int = 0
    file_mtime_ns: int = 0
    threshold: float | None = None
    picture: str = ""


@dataclass(frozen=True)
class Inspected:
    """A photograph and the findings about it.

    `error` says why it failed. `fault` says which request could not be met. `note` is everything else that the reader
    must know, the fault included. `marks` is None without results, `cracks` is None for a classifier.
    """

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
        """Returns whether there is a crack map of the photograph, whose cells are kept."""
        return self.grid is not None and self.grid.tile_px is not None

    @property
    def mm_per_px(self) -> float | None:
        """Returns the scale; None if it is not known."""
        return None if self.scale is None else self.scale.mm_per_px

    def file_unchanged(self, path: Path) -> bool:
        """Returns whether the file exists and still has the size and modification time from its inspection."""
        try:
            stat = path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.made_of.file_bytes, self.made_of.file_mtime_ns)

    def is_same_picture(self, path: Path, grey: np.ndarray) -> bool:
        """Returns whether the file `path`, with grey levels (h, w) uint8, holds the picture that was inspected. Another
        picture may have the same file name, and even the same size and modification time."""
        same_size = grey.shape == (self.height_px, self.width_px)
        return same_size and same_picture(self.made_of.picture, picture_of(path, grey))


def picture_of(path: Path, grey: np.ndarray) -> str:
    """Returns a text that identifies a picture: the hash of its file and the hash of its grey levels (h, w) uint8."""
    return f"{content_hash(path)[:16]}-{levels_hash(grey)}"


def levels_hash(grey: np.ndarray) -> str:
    """Returns a hash of the grey levels (h, w) of a picture."""
    return hashlib.blake2b(np.ascontiguousarray(grey).data, digest_size=8).hexdigest()


def same_picture(first: str, other: str) -> bool:
    """Returns whether two results of `picture_of` identify the same picture. An empty text matches any picture.

    One of the two hashes must agree: another version of a library may decode the same file to other grey levels, and a
    file whose tags were edited has another hash but the same grey levels.
    """
    return not first or not other or bool(set(first.split("-")) & set(other.split("-")))


def unread_row(path: Path) -> Inspected:
    """Returns the row for a photograph in a format that cannot be read."""
    return Inspected(path.name, str(path), "unread", note=why_unread(path.name))


def known_scale(scale: Scale | None) -> KnownScale | None:
    """Returns the facts about a scale that are kept in inspection.json."""
    return None if scale is None else KnownScale(scale.mm_per_px, scale.source, scale.deviation)


def grid_of(heat: Heat) -> MapPlaces:
    """Returns the positions of a map's values."""
    down, across = (float(np.diff(middles[:2])[0]) if len(middles) > 1 else 0.0 for middles in (heat.y_px, heat.x_px))
    return MapPlaces(float(heat.y_px[0]), float(heat.x_px[0]), down, across, heat.window_px, heat.tile_px)


def facts_of(inspected: Inspected) -> dict[str, object]:
    """Returns the content of inspection.json: a flat mapping with the keys that other programs read."""
    marks, cracks, scale, made_of, grid = (
        inspected.marks,
        inspected.cracks,
        inspected.scale,
        inspected.made_of,
        inspected.grid,
    )
    positions = None if grid is None else {key: value for key, value in asdict(grid).items() if value is not None}
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
        "heat_map": None if inspected.is_mapped else positions,
        "crack_map": positions if inspected.is_mapped else None,
        "measured": [] if marks is None else list(marks.largest),
        "crack_figures": [] if cracks is None else list(cracks.figures),
        "crack_length_px": 0.0 if cracks is None else cracks.length_px,
        "crack_length_mm": None if cracks is None else cracks.length_mm,
        "unlikely_cracks": 0 if cracks is None else cracks.unlikely,
    }


def inspected_from(facts: Any) -> Inspected:
    """Returns the findings that `facts_of` described. Raises KeyError, TypeError or ValueError for any other value."""
    _check_types(facts)
    _check_ranges(facts)
    positions = facts["crack_map"] or facts["heat_map"]
    grid = None if positions is None else MapPlaces(**positions)
    if (facts["crack_map"] is not None) != (grid is not None and grid.tile_px is not None):
        raise ValueError("its crack_map or heat_map is not valid")
    marks = (facts["peak"], facts["share"], facts["regions"], facts["longest_px"], facts["measured"])
    sums = (facts["cracks"], facts["crack_length_px"], facts["crack_length_mm"], facts["crack_figures"])
    scale = (facts["mm_per_px"], facts["scale"], facts["scale_deviation"])
    plain = ("name", "path", "verdict", "width_px", "height_px", "seconds", "error", "note", "fault")
    return Inspected(
        **{key: facts[key] for key in plain},
        marks=None if facts["peak"] is None else Marks(*marks),
        cracks=None
        if facts["cracks"] is None
        else CrackSums(*sums, facts.get("unlikely_cracks", 0)),  # unknown to older ones
        scale=None if facts["mm_per_px"] is None else KnownScale(*scale),
        grid=grid,
        made_of=MadeOf(**{field.name: facts.get(field.name, field.default) for field in fields(MadeOf)}),
    )


def _check_types(facts: Mapping[str, object]) -> None:
    """Raises TypeError for a value whose type differs from what `facts_of` writes."""
    figures, largest = facts["crack_figures"], facts["measured"]
    texts = (
        [facts[name] for name in TEXT_KEYS]
        + [facts.get("picture", "")]
        + (figures if isinstance(figures, list) else [None])
    )
    numbers = [facts[name] for name in NUMBER_KEYS] + [
        facts[name] for name in OPTIONAL_NUMBER_KEYS if facts[name] is not None
    ]
    numbers.append(facts.get("unlikely_cracks", 0))
    for value in largest if isinstance(largest, list) else [None]:
        numbers += value if isinstance(value, list) else [None]
    for positions in (facts["crack_map"], facts["heat_map"]):
        numbers += positions.values() if isinstance(positions, dict) else [] if positions is None else [None]
    if not all(isinstance(text, str) for text in texts) or any(math.isnan(number_of(value)) for value in numbers):
        raise TypeError("a value has the wrong type")


def _check_ranges(facts: Mapping[str, Any]) -> None:
    """Raises ValueError for a value that no inspection writes."""
    name, width, height = PurePosixPath(facts["name"]), facts["width_px"], facts["height_px"]
    if facts["verdict"] not in VERDICTS:
        raise ValueError(f"verdict {facts['verdict']!r} is not valid")
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise ValueError(f"name {facts['name']!r} is not a valid name of a photograph")
    if "\0" in facts["name"] + facts["path"]:
        raise ValueError("its name or path is not valid")
    min_px = 0 if facts["peak"] is None else 1  # every inspected photograph has pixels
    if not all(isinstance(side, int) and min_px <= side for side in (width, height)) or width * height > MAX_PIXELS:
        raise ValueError(f"a size of {width} x {height} pixels is not valid")
    if (negative := next((name for name in NOT_NEGATIVE_KEYS if (facts[name] or 0) < 0), None)) is not None:
        raise ValueError(f"{negative} {facts[negative]} is negative")


def kept_inspected(folder: Path, photograph: Photograph) -> Inspected | None:
    """Returns what an earlier run, with whatever options, found in a photograph, whose files are in `folder`; None if
    there is nothing valid."""
    try:
        inspected = inspected_from(json.loads((folder / DONE).read_text(encoding="utf-8", errors="surrogateescape")))
    except READ_ERRORS:
        return None
    # Name and path are those of the photograph at hand: the file may state others.
    inspected = replace(inspected, name=photograph.name, path=str(photograph.path))
    return inspected if min(inspected.width_px, inspected.height_px) > 0 else None


def write_done(folder: Path, inspected: Inspected) -> None:
    """Writes inspection.json, the last file that is written for a photograph."""
    write_atomically(folder / DONE, (json.dumps(facts_of(inspected)) + "\n").encode("utf-8", "surrogateescape"))
