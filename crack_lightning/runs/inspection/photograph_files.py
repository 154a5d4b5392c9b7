"""The files that an inspection writes for each photograph and for all together."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.images.formats import jpeg, png, why_unread
from crack_lightning.errors import UserError
from crack_lightning.inference.geometry import tiles
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import crack_overlay, heat_picture, overlay
from crack_lightning.inference.regions import Region, geojson
from crack_lightning.inference.sources import Photograph
from crack_lightning.runs.inspection.crack_files import CRACKS_CSV, CRACKS_JSON, write_cracks
from crack_lightning.runs.inspection.measuring import Measured
from crack_lightning.system.files import write_atomically, write_csv

DONE = "inspection.json"  # written last: what has it needs not be done again
FILES = ("overlay.png", "photograph.jpg", "regions.geojson", "tiles.csv", "thumbnail.jpg")
MAPS = {False: "heat_map", True: "crack_map"}  # by whether the values are those of cells: NAME.png and NAME.npy
PLACES = ("top_px", "left_px", "down_px", "across_px", "window_px", "tile_px")
MEASURED = 12  # regions whose figures the report shows
THUMBNAIL_PX = 112
SEVERITY = ("cracked", "review", "error", "unread", "sound")


@dataclass(frozen=True)
class Inspected:
    """A photograph and what was found; `note` is what else the reader must know about it.

    `longest_` is the length of the longest region. `key` changes with the file and whatever changes the result,
    `map_key` with what changes the heat map. `threshold` is what it was marked at.

    `file_bytes` and `file_mtime_ns` are those of the photograph when it was inspected.

    `fault` is what could not be done of what was asked for; `scale` says where `mm_per_px` is from, and
    `scale_deviation` by which share it is uncertain; `cracks` is how many there are, None where windows were judged.

    `heat_map` or `crack_map` says where the values of heat_map.npy or crack_map.npy lie; `measured` are length, area
    and peak of the largest regions, `crack_figures` what is said of the longest cracks.
    """

    name: str
    path: str
    verdict: str
    peak: float | None = None
    share: float | None = None
    regions: int | None = None
    longest_px: float = 0.0
    mm_per_px: float | None = None
    width_px: int = 0
    height_px: int = 0
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    fault: str = ""
    threshold: float | None = None
    scale: str = ""
    scale_deviation: float = 0.0
    cracks: int | None = None
    key: str = ""
    map_key: str = ""
    file_bytes: int = 0
    file_mtime_ns: int = 0
    heat_map: dict[str, float] | None = None
    crack_map: dict[str, float] | None = None
    measured: Sequence[Sequence[float]] = ()
    crack_figures: Sequence[str] = ()
    crack_length_px: float = 0.0
    crack_length_mm: float | None = None

    @property
    def measured_at_all(self) -> bool:
        """Whether there are results of it."""
        return self.peak is not None

    @property
    def longest_mm(self) -> float | None:
        """None where the scale is not known."""
        return None if self.mm_per_px is None else self.longest_px * self.mm_per_px


def unread(path: Path) -> Inspected:
    """The row of a photograph of a kind that is not read here."""
    return Inspected(path.name, str(path), "unread", note=why_unread(path.name))


def grid_facts(heat: Heat) -> dict[str, float]:
    """Where the values of a heat map lie: row r, column c at top + r * down, left + c * across, in pixels."""
    down, across = (float(np.diff(middles[:2])[0]) if len(middles) > 1 else 0.0 for middles in (heat.y_px, heat.x_px))
    first = {"top_px": float(heat.y_px[0]), "left_px": float(heat.x_px[0])}
    tile = {} if heat.tile_px is None else {"tile_px": heat.tile_px}
    return {**first, "down_px": down, "across_px": across, "window_px": heat.window_px, **tile}


def folder_of(run: Path, photograph: Photograph) -> Path:
    """Where the files of a photograph are written: no two photographs share a folder."""
    return run / "photographs" / photograph.name


def key_of(photograph: Photograph, options: str) -> str:
    """Changes with the file and with whatever changes the result."""
    found = photograph.path.stat()
    text = f"{photograph.path}:{found.st_size}:{found.st_mtime_ns}:{options}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def kept_inspected(folder: Path) -> Inspected | None:
    """What an earlier run found of a photograph, by whatever options."""
    try:
        found = Inspected(**json.loads((folder / DONE).read_text(encoding="utf-8", errors="surrogateescape")))
    except (OSError, ValueError, TypeError):
        return None
    places = found.crack_map if found.crack_map is not None else dict.fromkeys(PLACES, 1.0)
    whole = found.verdict in SEVERITY and isinstance(places, dict) and set(PLACES) <= set(places)
    return found if whole and min(found.width_px, found.height_px) > 0 else None


def kept_heat(folder: Path, map_key: str) -> Heat | None:
    """The crack map that an earlier run computed of the same photograph by the same network."""
    found = kept_inspected(folder)
    if found is None or found.crack_map is None or found.map_key != map_key:
        return None
    try:
        return read_heat(folder, found)
    except UserError:
        return None


def read_heat(folder: Path, found: Inspected) -> Heat:
    """The kept crack map of a photograph, whose values lie where `found` says.

    Raises UserError where it is not there any more, or damaged.
    """
    path = folder / f"{MAPS[True]}.npy"
    try:
        probability = np.load(path).astype(np.float32)
        if probability.ndim != 2 or not np.isfinite(probability).all():
            raise ValueError("it is no map")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not there or damaged: remove its folder and inspect again") from error
    place = found.crack_map or {}
    first, steps = ("top_px", "left_px"), ("down_px", "across_px")
    y, x = (place[a] + np.arange(n) * place[b] for a, b, n in zip(first, steps, probability.shape, strict=True))
    return Heat(probability, y, x, (found.height_px, found.width_px), place["window_px"], place["tile_px"])


def as_kept(heat: Heat) -> Heat:
    """A crack map in the precision in which it is kept, so that what follows is the same from either."""
    if heat.tile_px is None:
        return heat
    return replace(heat, probability=heat.probability.astype(np.float16).astype(np.float32))


def done_before(folder: Path, key: str) -> Inspected | None:
    """What an earlier run that was killed found of the same photograph with the same options."""
    found = kept_inspected(folder)
    if found is None:
        return None
    name = MAPS[found.crack_map is not None]
    measured = () if found.crack_map is None else (CRACKS_CSV, CRACKS_JSON)
    needed = [folder / each for each in (*FILES, *measured, f"{name}.png", f"{name}.npy")]
    complete = all(path.is_file() and path.stat().st_size for path in needed)
    return found if found.key == key and complete else None


def write_photograph(
    folder: Path,
    small: Image.Image,
    grey: np.ndarray,
    heat: Heat,
    found: Sequence[Region],
    inspected: Inspected,
    measured: Measured | None,
) -> None:
    """All of FILES, and those of cracks where they are `measured`; inspection.json, which vouches for them, goes.

    `small` is the photograph as it is to be shown, `grey` (h, w) its own levels.
    """
    mm_per_px = inspected.mm_per_px
    (folder / DONE).unlink(missing_ok=True)
    if measured is None:
        marked = overlay(small, heat, found, mm_per_px=mm_per_px)
    else:
        marked = crack_overlay(small, measured.records, measured.classes, heat.size_hw, mm_per_px=mm_per_px)
        write_cracks(folder, inspected.name, measured.cracks, measured.records, measured.scale, grey)
    write_pictures(folder, small, marked)
    name, array = MAPS[inspected.crack_map is not None], io.BytesIO()
    write_atomically(folder / f"{name}.png", png(heat_picture(heat, small.size)))
    np.save(array, heat.probability.astype(np.float16) if inspected.crack_map else heat.probability)
    write_atomically(folder / f"{name}.npy", array.getvalue())
    text = json.dumps(geojson(found, mm_per_px=mm_per_px), indent=1)
    write_atomically(folder / "regions.geojson", text.encode())
    header = ["row", "column", "left_px", "top_px", "right_px", "bottom_px", "probability"]
    write_csv(folder / "tiles.csv", header, _tiles(heat))


def write_pictures(folder: Path, small: Image.Image, marked: Image.Image) -> None:
    """photograph.jpg of `small`, overlay.png and thumbnail.jpg of the same with what is `marked` in it."""
    write_small(folder, small)
    write_atomically(folder / "overlay.png", png(marked))
    thumbnail = marked.copy()
    thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    write_atomically(folder / "thumbnail.jpg", jpeg(thumbnail, quality=70))


def write_small(folder: Path, small: Image.Image) -> None:
    """photograph.jpg."""
    write_atomically(folder / "photograph.jpg", jpeg(small, quality=88))


def write_done(folder: Path, inspected: Inspected) -> None:
    """inspection.json, the last file of a photograph."""
    write_atomically(folder / DONE, (json.dumps(asdict(inspected)) + "\n").encode("utf-8", "surrogateescape"))


def _tiles(heat: Heat) -> list[list[object]]:
    rows: list[list[object]] = []
    for row, column, box in tiles(heat.size_hw, heat.tile_px or heat.window_px):
        rows.append([row, column, *box, f"{heat.of_tile(box):.6f}"])
    return rows
