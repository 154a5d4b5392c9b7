"""The files that an inspection writes for each photograph."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from crack_lightning.data.images.formats import jpeg, png
from crack_lightning.errors import UserError
from crack_lightning.inference.geometry import tiles
from crack_lightning.inference.heat import Heat, Seen
from crack_lightning.inference.overlay import crack_overlay, heat_picture, overlay
from crack_lightning.inference.regions import Region, geojson
from crack_lightning.inference.sources import Photograph
from crack_lightning.models.shape_correction import HIDDEN
from crack_lightning.runs.inspection.crack_files import CRACKS_CSV, CRACKS_JSON, write_cracks
from crack_lightning.runs.inspection.inspected import DONE, Inspected, kept_inspected
from crack_lightning.runs.inspection.measuring import Measured
from crack_lightning.system.files import write_atomically, write_csv

OVERLAY, SMALL_OVERLAY = "overlay.png", "overlay.jpg"
FILES = (OVERLAY, "photograph.jpg", "regions.geojson", "tiles.csv", "thumbnail.jpg")
MAP_NAMES = {False: "heat_map", True: "crack_map"}  # stem of NAME.png and NAME.npy; True: the values belong to cells
SEEN_FILE = "seen.npz"  # what the network saw along faint cracks, by which the page finds marks that are alike
FIGURES_SHOWN = 12  # regions or cracks whose figures the report shows
THUMBNAIL_PX = 112  # longer side


def folder_of(run: Path, photograph: Photograph) -> Path:
    """Returns the folder for the files of a photograph, which it shares with no other."""
    return run / "photographs" / photograph.name


def key_of(photograph: Photograph, options: str) -> str:
    """Returns a key that changes with the photograph's file and with `options`."""
    stat = photograph.path.stat()
    text = f"{photograph.path}:{stat.st_size}:{stat.st_mtime_ns}:{options}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def kept_heat(folder: Path, photograph: Photograph, map_key: str) -> Heat | None:
    """Returns the crack map of the same photograph that an earlier run computed with the same `map_key`, if any."""
    inspected = kept_inspected(folder, photograph)
    if inspected is None or not inspected.is_mapped or inspected.made_of.map_key != map_key:
        return None
    try:
        return read_heat(folder, inspected)
    except UserError:
        return None


def read_heat(folder: Path, inspected: Inspected) -> Heat:
    """Returns the kept crack map of a photograph; `inspected` has the positions of its values.

    Raises UserError if the file is missing or damaged.
    """
    path = folder / f"{MAP_NAMES[True]}.npy"
    try:
        array = np.load(path, mmap_mode="r")  # checks the header before reading the values
        if not isinstance(array, np.ndarray) or array.dtype != np.float16 or array.ndim != 2 or not array.size:
            raise ValueError("it is not a map")
        probability = array.astype(np.float32)
        if not np.isfinite(probability).all():
            raise ValueError("it is not a map")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is missing or damaged: remove its folder and inspect again") from error
    grid = inspected.grid
    if grid is None:
        raise UserError(f"{DONE} has no positions for the values of {path}: remove its folder and inspect again")
    y, x = (
        first + np.arange(count) * step
        for first, step, count in zip(
            (grid.top_px, grid.left_px), (grid.down_px, grid.across_px), probability.shape, strict=True
        )
    )
    if not (0 <= y[-1] < inspected.height_px + grid.window_px and 0 <= x[-1] < inspected.width_px + grid.window_px):
        raise UserError(f"{path} does not match the size of its photograph: remove its folder and inspect again")
    seen = read_seen(folder, probability.shape)
    return Heat(probability, y, x, (inspected.height_px, inspected.width_px), grid.window_px, grid.tile_px, seen)


def read_seen(folder: Path, map_hw: tuple[int, ...]) -> Seen | None:
    """Returns what the network saw along faint cracks of a kept map of `map_hw` cells, None where it is not kept.

    Raises UserError if the file is damaged.
    """
    path = folder / SEEN_FILE
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            cells, values = file["cells"], file["values"]
        if cells.dtype != np.uint16 or values.dtype != np.float16 or cells.shape != (len(values), 2):
            raise ValueError("it has other arrays")
        if values.ndim != 2 or values.shape[1] != 2 * HIDDEN or not np.isfinite(values).all():
            raise ValueError("its values are not valid")
        if len(cells) and (cells.max(axis=0) >= map_hw).any():
            raise ValueError("its cells are outside the map")
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise UserError(f"{path} is missing or damaged: remove its folder and inspect again") from error
    return Seen(cells, values)


def as_kept(heat: Heat) -> Heat:
    """Returns a crack map rounded to the precision of the kept file, so that fresh and kept maps give equal results."""
    if heat.tile_px is None:
        return heat
    return replace(heat, probability=heat.probability.astype(np.float16).astype(np.float32))


def done_before(folder: Path, photograph: Photograph, key: str) -> Inspected | None:
    """Returns what an earlier run found in the same photograph with the same options, if it finished it and all files
    exist."""
    inspected = kept_inspected(folder, photograph)
    if inspected is None:
        return None
    map_name = MAP_NAMES[inspected.is_mapped]
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
    *,
    map_kept: bool = False,
) -> None:
    """Writes all FILES, the map unless it is `map_kept`, and the files of the cracks if they are `measured`. First
    removes inspection.json, which says that all files are complete.

    `small` is the photograph reduced for the report, `grey` (h, w) its grey levels at full size.
    """
    mm_per_px = inspected.mm_per_px
    (folder / DONE).unlink(missing_ok=True)
    if measured is None:
        marked = overlay(small, heat, marked_regions, mm_per_px=mm_per_px)
    else:
        marked = crack_overlay(small, measured.records, measured.classes, heat.size_hw, mm_per_px=mm_per_px)
        write_cracks(folder, inspected.name, measured.cracks, measured.records, measured.scale, grey)
    write_pictures(folder, small, marked)
    name = MAP_NAMES[inspected.is_mapped]
    write_atomically(folder / f"{name}.png", png(heat_picture(heat, small.size)))
    if not map_kept:
        array = io.BytesIO()
        np.save(array, heat.probability.astype(np.float16) if inspected.is_mapped else heat.probability)
        write_atomically(folder / f"{name}.npy", array.getvalue())
        _write_seen(folder, heat.seen)
    text = json.dumps(geojson(marked_regions, mm_per_px=mm_per_px), indent=1)
    write_atomically(folder / "regions.geojson", text.encode())
    header = ["row", "column", "left_px", "top_px", "right_px", "bottom_px", "probability"]
    write_csv(folder / "tiles.csv", header, _tiles(heat))


def _write_seen(folder: Path, seen: Seen | None) -> None:
    """Writes what the network saw along faint cracks; without it removes the file of an earlier inspection."""
    if seen is None:
        (folder / SEEN_FILE).unlink(missing_ok=True)
        return
    content = io.BytesIO()
    np.savez_compressed(content, cells=seen.cells, values=seen.values)
    write_atomically(folder / SEEN_FILE, content.getvalue())


def overlay_of(run: Path, name: str) -> Path:
    """Returns the path of the picture with marks of the photograph `name`, relative to the folder of the run."""
    folder = Path("photographs") / name
    return folder / (SMALL_OVERLAY if (run / folder / SMALL_OVERLAY).is_file() else OVERLAY)


def write_pictures(folder: Path, small: Image.Image, marked: Image.Image, *, jpeg_quality: int | None = None) -> None:
    """Writes `small` as photograph.jpg, and `marked`, the same picture with marks, as overlay.png and thumbnail.jpg.

    With a `jpeg_quality` there is overlay.jpg instead of overlay.png, and both pictures have this quality.
    """
    if jpeg_quality is None:
        write_small(folder, small)
        write_atomically(folder / OVERLAY, png(marked))
    else:
        write_atomically(folder / "photograph.jpg", jpeg(small, quality=jpeg_quality))
        write_atomically(folder / SMALL_OVERLAY, jpeg(marked, quality=jpeg_quality))
    thumbnail = marked.copy()
    thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    write_atomically(folder / "thumbnail.jpg", jpeg(thumbnail, quality=70))


def write_small(folder: Path, small: Image.Image) -> None:
    """Writes `small` as photograph.jpg."""
    write_atomically(folder / "photograph.jpg", jpeg(small, quality=88))


def _tiles(heat: Heat) -> list[list[object]]:
    rows: list[list[object]] = []
    for row, column, box in tiles(heat.size_hw, heat.tile_px or heat.window_px):
        rows.append([row, column, *box, f"{heat.of_tile(box):.6f}"])
    return rows
