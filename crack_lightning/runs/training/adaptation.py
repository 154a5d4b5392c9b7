"""Adapts a crack map to a site: trains its head on cracks drawn onto the site's photographs.

A lesson is a synthetic training picture. Lessons on photographs that were held back evaluate the new map.
"""

import io
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from crack_lightning.data.images.reading import read_image
from crack_lightning.data.synthetic.lessons import SIDE, Lesson
from crack_lightning.errors import UserError
from crack_lightning.evaluation.cell_counts import masked_cells, near
from crack_lightning.features.cells import COVERED, VISIBLE
from crack_lightning.inference.crack_maps import LEAST_PX, CrackMapReader, crack_cells
from crack_lightning.inference.patches import in_threads, pick_device
from crack_lightning.inference.sources import Photograph, find_photographs, log_left_out
from crack_lightning.models.crack_map import CELL_PX, package_map
from crack_lightning.models.map_checkpoint import write_map
from crack_lightning.runs.training.map_learning import FIRST_HELD_OUT, PRIOR_L2, lessons, train_head
from crack_lightning.runs.training.options import AdaptOptions
from crack_lightning.system.files import write_atomically, write_csv
from crack_lightning.system.processes import cores
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

MAX_TILES = 1200  # tiles of a site in memory, 200 KB each
PATCH_PX = 2 * SIDE  # a picture whose longer side is at most this is used whole
HOLD_BACK_EVERY = 5  # one photograph in this many is held back
MAX_EVALUATION_LESSONS = 100  # lessons on the held-back tiles
WIDTH_LIMITS_PX = (1.5, 3.0, 6.0)  # limits between the crack widths that expected.csv tells apart
EXAMPLE_COUNT = 6  # lessons in adaptation.png
MIN_DEVIATION = 2.0  # standard deviation of grey levels below which a tile counts as being of one colour


@dataclass(frozen=True)
class Site:
    """Tiles of a site's photographs."""

    tiles: Sequence[Image.Image]  # to train on
    held_back: Sequence[Image.Image]  # to evaluate on
    photographs: int  # count of the photographs that have tiles
    apart: bool  # whether no photograph has both held-back tiles and tiles to train on
    unread: int  # photographs that could not be read


def adapt_map(options: AdaptOptions, folder: Path) -> int:
    """Writes checkpoints/best.ckpt, adaptation.json, expected.csv and adaptation.png into `folder`.

    Returns how many photographs could not be read. Raises UserError or OSError if none shows a surface to draw onto.
    """
    source = find_photographs(options.source)
    log_left_out(source)
    site = read_site(source.photographs, options)
    log.info("%d photographs: %d tiles, %d held back", site.photographs, len(site.tiles), len(site.held_back))
    evaluation_count = min(MAX_EVALUATION_LESSONS, max(EXAMPLE_COUNT, options.lessons // 4))
    network = package_map().to(pick_device(options.device))
    head = train_head(
        network,
        site.tiles,
        count=options.lessons,
        level_surfaces=site.held_back,
        level_count=evaluation_count,
        seeds=(options.seed,),
        plain=False,
        prior_l2=PRIOR_L2,
    )
    network.set_levels(head.levels)
    reader = CrackMapReader(network, engine="folded")
    expected = evaluate_on_held_back(reader, site, evaluation_count, options.seed)
    provenance = {"photographs": site.photographs, "tiles": len(site.tiles), "lessons": options.lessons}
    write_map(folder / "checkpoints/best.ckpt", network, {**provenance, "seed": options.seed})
    facts = {**provenance, "held_back_apart": site.apart, **head.levels, **expected}
    write_atomically(folder / "adaptation.json", (json.dumps(facts, indent=2) + "\n").encode())
    _write_examples(folder, reader, site, options.seed)
    _write_expected(folder, expected)
    if site.unread:
        log.error("%d photographs could not be read", site.unread)
    return site.unread


def read_site(photographs: Sequence[Photograph], options: AdaptOptions) -> Site:
    """Reads photographs and cuts tiles from them; holds back every fifth photograph, or every fifth tile of a single
    one. Raises UserError if no photograph has a tile."""
    tiles_each = max(1, MAX_TILES // len(photographs))

    def read_tiles(photograph: Photograph) -> list[Image.Image] | None:
        try:
            image = read_image(photograph.path, megapixels=options.max_megapixels)
        except ValueError as error:
            log.error("%s", error)
            return None
        if max(image.size) < LEAST_PX:
            log.warning("%s: both sides are below %d pixels, too small to draw a crack onto", photograph.path, LEAST_PX)
            return []
        tiles = list(_tiles(image, tiles_each, options.seed))
        if not tiles:
            log.warning("%s: has one colour only, no surface to draw cracks onto", photograph.path)
        return tiles

    pending = in_threads(read_tiles, photographs, cores())
    results = list(track(pending, "reading", total=len(photographs), unit="photographs"))
    tile_lists = [tiles for tiles in results if tiles]
    if not tile_lists:
        raise UserError(f"source={options.source}: no photograph of a surface could be read: give photographs of walls")
    apart = len(tile_lists) > 1
    if not apart:
        log.warning("there is only one photograph: some of its tiles train the map, the others evaluate it")
    groups = tile_lists if apart else [[tile] for tile in tile_lists[0]]
    training = [tile for k, tiles in enumerate(groups) if k % HOLD_BACK_EVERY for tile in tiles]
    held_back = [tile for tiles in groups[::HOLD_BACK_EVERY] for tile in tiles]
    return Site(training or held_back, held_back, len(tile_lists), apart=apart, unread=results.count(None))


def _tiles(image: Image.Image, most: int, seed: int) -> Iterator[Image.Image]:
    """Yields at most `most` random squares of SIDE pixels from a grid, or a small picture whole; skips those of one
    colour."""
    if max(image.size) <= PATCH_PX:
        boxes = [(0, 0, *image.size)]
    else:
        side = min(SIDE, *image.size)
        corners = [
            (x, y) for y in range(0, image.height - side + 1, side) for x in range(0, image.width - side + 1, side)
        ]
        chosen = np.random.default_rng(seed).permutation(len(corners))[:most]
        boxes = [(*corners[k], corners[k][0] + side, corners[k][1] + side) for k in sorted(chosen.tolist())]
    for box in boxes:
        tile = image.crop(box)
        if np.asarray(tile.convert("L"), np.float32).std() >= MIN_DEVIATION:
            yield tile


def _marked_cells(reader: CrackMapReader, image: Image.Image) -> np.ndarray:
    """Returns which cells (h, w) bool the map marks in a picture, taken as a small photograph."""
    odds = reader.above_median(reader.prepared_as(image, small=True), small=True).numpy()
    return crack_cells(odds, reader.classifier.small_level)


def evaluate_on_held_back(reader: CrackMapReader, site: Site, count: int, seed: int) -> dict[str, float]:
    """Returns how well the map finds cracks drawn onto held-back tiles, and how much it marks without them.

    `count` lessons and at most `count` tiles are used. `recall_<from>_<to>_px` is the share of the cells of visible
    cracks of that width that the map finds.
    `marked_per_megapixel` counts the cells marked on the tiles as they are. Some of these may be on real cracks, so
    there are at most that many false alarms.
    """
    limits = [0.0, *WIDTH_LIMITS_PX, np.inf]
    hits, cracked = np.zeros(len(limits) - 1), np.zeros(len(limits) - 1)
    for block in lessons(site.held_back, FIRST_HELD_OUT, count, seed):
        for lesson in block:
            widths, near_marked = _cell_widths(lesson), near(_marked_cells(reader, lesson.image), 1)
            for k, (low, high) in enumerate(itertools.pairwise(limits)):
                cells = (widths > low) & (widths <= high)
                cracked[k] += cells.sum()
                hits[k] += (cells & near_marked).sum()
    marked = [_marked_cells(reader, tile).sum() for tile in site.held_back[:count]]
    pixels = sum(tile.width * tile.height for tile in site.held_back[:count])
    names = [f"recall_{low:g}_{high:g}_px" for low, high in itertools.pairwise(limits)]
    recalls = {name: float(a / b) for name, a, b in zip(names, hits, cracked, strict=True) if b}
    return {**recalls, "marked_per_megapixel": float(sum(marked) / pixels * 1e6)}


def _cell_widths(lesson: Lesson) -> np.ndarray:
    """Returns the width in pixels of the drawn crack in each cell (h, w), 0 where none is visible."""
    visible = (lesson.cover > COVERED) & (lesson.strength > VISIBLE)
    if not visible.any():
        return np.zeros(masked_cells(visible).shape)
    widths = np.where(visible, 2 * ndimage.distance_transform_edt(lesson.cover > COVERED) - 1, 0.0)
    return widths.reshape(SIDE // CELL_PX, CELL_PX, SIDE // CELL_PX, CELL_PX).max(axis=(1, 3))


def _write_expected(folder: Path, expected: dict[str, float]) -> None:
    write_csv(folder / "expected.csv", ["what", "value"], [[name, f"{value:.4f}"] for name, value in expected.items()])
    for name, value in expected.items():
        log.info("%s %.3f", name.replace("_", " "), value)
    log.info("the crack map of the site: %s", folder / "checkpoints/best.ckpt")


def _write_examples(folder: Path, reader: CrackMapReader, site: Site, seed: int) -> None:
    """Writes adaptation.png: cracks drawn onto held-back tiles, and below each the same with the marks outlined."""
    examples = next(lessons(site.held_back, FIRST_HELD_OUT, EXAMPLE_COUNT, seed))
    sheet = Image.new("RGB", (EXAMPLE_COUNT * (SIDE + 8), 2 * (SIDE + 8)), "white")
    for index, lesson in enumerate(examples):
        marked, outlined = _marked_cells(reader, lesson.image), lesson.image.copy()
        draw = ImageDraw.Draw(outlined)
        for row, column in np.argwhere(marked):
            x, y = column * CELL_PX, row * CELL_PX
            draw.rectangle((x, y, x + CELL_PX - 1, y + CELL_PX - 1), outline=(255, 80, 0))
        sheet.paste(lesson.image, (index * (SIDE + 8), 0))
        sheet.paste(outlined, (index * (SIDE + 8), SIDE + 8))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_atomically(folder / "adaptation.png", buffer.getvalue())
