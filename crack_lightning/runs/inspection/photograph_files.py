"""The files that an inspection writes for each photograph."""

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
MAPS = {False: "heat_map", True: "crack_map"}  # by whether the values are of cells: NAME.png and NAME.npy
MEASURED = 12  # regions whose figures the report shows
THUMBNAIL_PX = 112


def folder_of(run: Path, photograph: Photograph) -> Path:
    """Returns the folder for the files of a photograph: no two photographs share one."""
    return run / "photographs" / photograph.name


def key_of(photograph: Photograph, options: str) -> str:
    """Returns a key that changes with the file and with whatever changes the result."""
    stat = photograph.path.stat()
    text = f"{photograph.path}:{stat.st_size}:{stat.st_mtime_ns}:{options}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def kept_heat(folder: Path, photograph: Photograph, map_key: str) -> Heat | None:
    """Returns the crack map that an earlier run computed of the same photograph by the same network, if any."""
    inspected = kept_inspected(folder, photograph)
    if inspected is None or not inspected.is_mapped or inspected.made_of.map_key != map_key:
        return None
    try:
        return read_heat(folder, inspected)
    except UserError:
        return None


def read_heat(folder: Path, inspected: Inspected) -> Heat:
    """Returns the kept crack map of a photograph, whose values have the places in `found`.

    Raises UserError where it is gone or damaged.
    """
    path = folder / f"{MAPS[True]}.npy"
    try:
        array = np.load(path, mmap_mode="r")  # its header is checked before its values are read
        if not isinstance(array, np.ndarray) or array.dtype != np.float16 or array.ndim != 2 or not array.size:
            raise ValueError("it is not a map")
        probability = array.astype(np.float32)
        if not np.isfinite(probability).all():
            raise ValueError("it is not a map")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not there or damaged: remove its folder and inspect again") from error
    grid = inspected.grid
    if grid is None:
        raise UserError(f"{path} has no places in {DONE}: remove its folder and inspect again")
    y, x = (
        first + np.arange(count) * step
        for first, step, count in zip(
            (grid.top_px, grid.left_px), (grid.down_px, grid.across_px), probability.shape, strict=True
        )
    )
    if not (0 <= y[-1] < inspected.height_px + grid.window_px and 0 <= x[-1] < inspected.width_px + grid.window_px):
        raise UserError(f"{path} is not as large as its photograph: remove its folder and inspect again")
    return Heat(probability, y, x, (inspected.height_px, inspected.width_px), grid.window_px, grid.tile_px)


def as_kept(heat: Heat) -> Heat:
    """Returns a crack map in the precision in which it is kept, so that a kept one gives the same results."""
    if heat.tile_px is None:
        return heat
    return replace(heat, probability=heat.probability.astype(np.float16).astype(np.float32))


def done_before(folder: Path, photograph: Photograph, key: str) -> Inspected | None:
    """Returns what an earlier run, even a killed one, found in the same photograph with the same options, if any."""
    inspected = kept_inspected(folder, photograph)
    if inspected is None:
        return None
    map_name = MAPS[inspected.is_mapped]
    crack_files = (CRACKS_CSV, CRACKS_JSON) if inspected.is_mapped else ()
    needed = [folder / name for name in (*FILES, *crack_files, f"{map_name}.png", f"{map_name}.npy")]
    complete = all(path.is_file() and path.stat().st_size for path in needed)
    return inspected if inspected.made_of.key == key and complete else None


def write_photograph(
    folder: Path,
    small: Image.Image,
    grey: np.ndarray,
    heat: Heat,
    marked_regions: Sequence[Region],
    inspected: Inspected,
    measured: Measured | None,
) -> None:
    """Writes all of FILES, and the files of cracks where they are `measured`; removes inspection.json, which vouches
    for them.

    `small` is the photograph as it is to be shown, `grey` (h, w) its levels at its own size.
    """
    mm_per_px = inspected.mm_per_px
    (folder / DONE).unlink(missing_ok=True)
    if measured is None:
        marked = overlay(small, heat, marked_regions, mm_per_px=mm_per_px)
    else:
        marked = crack_overlay(small, measured.records, measured.classes, heat.size_hw, mm_per_px=mm_per_px)
        write_cracks(folder, inspected.name, measured.cracks, measured.records, measured.scale, grey)
    write_pictures(folder, small, marked)
    name, array = MAPS[inspected.is_mapped], io.BytesIO()
    write_atomically(folder / f"{name}.png", png(heat_picture(heat, small.size)))
    np.save(array, heat.probability.astype(np.float16) if inspected.is_mapped else heat.probability)
    write_atomically(folder / f"{name}.npy", array.getvalue())
    text = json.dumps(geojson(marked_regions, mm_per_px=mm_per_px), indent=1)
    write_atomically(folder / "regions.geojson", text.encode())
    header = ["row", "column", "left_px", "top_px", "right_px", "bottom_px", "probability"]
    write_csv(folder / "tiles.csv", header, _tiles(heat))


def write_pictures(folder: Path, small: Image.Image, marked: Image.Image) -> None:
    """Writes photograph.jpg of `small`, and overlay.png and thumbnail.jpg of `marked`, the same with its marks."""
    write_small(folder, small)
    write_atomically(folder / "overlay.png", png(marked))
    thumbnail = marked.copy()
    thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    write_atomically(folder / "thumbnail.jpg", jpeg(thumbnail, quality=70))


def write_small(folder: Path, small: Image.Image) -> None:
    """Writes photograph.jpg."""
    write_atomically(folder / "photograph.jpg", jpeg(small, quality=88))


def _tiles(heat: Heat) -> list[list[object]]:
    rows: list[list[object]] = []
    for row, column, box in tiles(heat.size_hw, heat.tile_px or heat.window_px):
        rows.append([row, column, *box, f"{heat.of_tile(box):.6f}"])
    return rows
