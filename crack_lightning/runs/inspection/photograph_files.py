"""The files that an inspection writes for each photograph and for all together."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.data.images.formats import jpeg, png
from crack_lightning.errors import UserError
from crack_lightning.inference.geometry import tiles
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import crack_overlay, heat_picture, overlay
from crack_lightning.inference.regions import Region, geojson
from crack_lightning.inference.sources import Photograph
from crack_lightning.runs.inspection.crack_files import CRACKS_CSV, CRACKS_JSON, write_cracks
from crack_lightning.runs.inspection.inspected import DONE, Inspected, kept_inspected
from crack_lightning.runs.inspection.measuring import Measured
from crack_lightning.system.files import write_atomically, write_csv

FILES = ("overlay.png", "photograph.jpg", "regions.geojson", "tiles.csv", "thumbnail.jpg")
MAPS = {False: "heat_map", True: "crack_map"}  # by whether the values are those of cells: NAME.png and NAME.npy
MEASURED = 12  # regions whose figures the report shows
THUMBNAIL_PX = 112


def folder_of(run: Path, photograph: Photograph) -> Path:
    """Where the files of a photograph are written: no two photographs share a folder."""
    return run / "photographs" / photograph.name


def key_of(photograph: Photograph, options: str) -> str:
    """Changes with the file and with whatever changes the result."""
    found = photograph.path.stat()
    text = f"{photograph.path}:{found.st_size}:{found.st_mtime_ns}:{options}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def kept_heat(folder: Path, photograph: Photograph, map_key: str) -> Heat | None:
    """The crack map that an earlier run computed of the same photograph by the same network."""
    found = kept_inspected(folder, photograph)
    if found is None or not found.is_mapped or found.made_of.map_key != map_key:
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
        kept = np.load(path, mmap_mode="r")  # its header is looked at before it is read
        if not isinstance(kept, np.ndarray) or kept.dtype != np.float16 or kept.ndim != 2 or not kept.size:
            raise ValueError("it is no map")
        probability = kept.astype(np.float32)
        if not np.isfinite(probability).all():
            raise ValueError("it is no map")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not there or damaged: remove its folder and inspect again") from error
    grid = found.grid
    if grid is None:
        raise UserError(f"{path} has no places in {DONE}: remove its folder and inspect again")
    y, x = (
        first + np.arange(count) * step
        for first, step, count in zip(
            (grid.top_px, grid.left_px), (grid.down_px, grid.across_px), probability.shape, strict=True
        )
    )
    if not (0 <= y[-1] < found.height_px + grid.window_px and 0 <= x[-1] < found.width_px + grid.window_px):
        raise UserError(f"{path} is not as large as its photograph: remove its folder and inspect again")
    return Heat(probability, y, x, (found.height_px, found.width_px), grid.window_px, grid.tile_px)


def as_kept(heat: Heat) -> Heat:
    """A crack map in the precision in which it is kept, so that what follows is the same from either."""
    if heat.tile_px is None:
        return heat
    return replace(heat, probability=heat.probability.astype(np.float16).astype(np.float32))


def done_before(folder: Path, photograph: Photograph, key: str) -> Inspected | None:
    """What an earlier run that was killed found of the same photograph with the same options."""
    found = kept_inspected(folder, photograph)
    if found is None:
        return None
    name = MAPS[found.is_mapped]
    measured = (CRACKS_CSV, CRACKS_JSON) if found.is_mapped else ()
    needed = [folder / each for each in (*FILES, *measured, f"{name}.png", f"{name}.npy")]
    complete = all(path.is_file() and path.stat().st_size for path in needed)
    return found if found.made_of.key == key and complete else None


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
    name, array = MAPS[inspected.is_mapped], io.BytesIO()
    write_atomically(folder / f"{name}.png", png(heat_picture(heat, small.size)))
    np.save(array, heat.probability.astype(np.float16) if inspected.is_mapped else heat.probability)
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


def _tiles(heat: Heat) -> list[list[object]]:
    rows: list[list[object]] = []
    for row, column, box in tiles(heat.size_hw, heat.tile_px or heat.window_px):
        rows.append([row, column, *box, f"{heat.of_tile(box):.6f}"])
    return rows
