"""Adapts a crack map to a site: trains its head on cracks drawn onto the site's photographs, judges it on others."""

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
from crack_lightning.inference.crack_maps import LEAST_PX, CrackMapReader, followed_cells
from crack_lightning.inference.patches import in_threads, pick_device
from crack_lightning.inference.sources import Photograph, find_photographs, log_left_out
from crack_lightning.models.crack_map import CELL_PX, package_map
from crack_lightning.models.map_checkpoint import write_map
from crack_lightning.runs.training.map_learning import HELD_OUT, PRIOR_L2, lessons, trained_head
from crack_lightning.runs.training.options import AdaptOptions
from crack_lightning.system.files import write_atomically, write_csv
from crack_lightning.system.processes import cores
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)

MOST_TILES = 1200  # of a site, 200 KB each
PATCH_PX = 2 * SIDE  # a picture whose longer side is at most this is used whole
HOLD_BACK_EVERY = 5  # one photograph in this many is held back
JUDGED = 100  # most lessons on the held-back tiles
WIDTHS_PX = (1.5, 3.0, 6.0)  # widths of cracks that separate the rows of expected.csv
SHOWN = 6  # lessons in adaptation.png
LEAST_SPREAD = 2.0  # deviation of grey levels; a tile with less counts as being of one colour


@dataclass(frozen=True)
class Site:
    """Square tiles of a site's photographs: `tiles` to train on, `held_back` to judge on."""

    tiles: Sequence[Image.Image]
    held_back: Sequence[Image.Image]
    photographs: int  # number of those that have tiles
    apart: bool  # whether the held-back tiles are of other photographs than the rest
    unread: int  # photographs that could not be read


def adapt_map(options: AdaptOptions, folder: Path) -> int:
    """Writes checkpoints/best.ckpt, adaptation.json, expected.csv and adaptation.png into `folder`; returns how many
    photographs could not be read.

    Raises UserError or OSError where there is no surface to draw cracks onto.
    """
    source = find_photographs(options.source)
    log_left_out(source)
    site = site_of(source.photographs, options)
    log.info("%d photographs: %d tiles, %d held back", site.photographs, len(site.tiles), len(site.held_back))
    judged = min(JUDGED, max(SHOWN, options.lessons // 4))
    network = package_map().to(pick_device(options.device))
    head = trained_head(
        network,
        site.tiles,
        count=options.lessons,
        judged_on=site.held_back,
        judged=judged,
        seeds=(options.seed,),
        plain=False,
        prior_l2=PRIOR_L2,
    )
    network.set_levels(head.levels)
    reader = CrackMapReader(network, engine="folded")
    expected = expectation(reader, site, judged, options.seed)
    provenance = {"photographs": site.photographs, "tiles": len(site.tiles), "lessons": options.lessons}
    write_map(folder / "checkpoints/best.ckpt", network, {**provenance, "seed": options.seed})
    facts = {**provenance, "held_back_apart": site.apart, **head.levels, **expected}
    write_atomically(folder / "adaptation.json", (json.dumps(facts, indent=2) + "\n").encode())
    _write_examples(folder, reader, site, options.seed)
    _write_expected(folder, expected)
    if site.unread:
        log.error("%d photographs could not be read", site.unread)
    return site.unread


def site_of(photographs: Sequence[Photograph], options: AdaptOptions) -> Site:
    """Returns tiles of the photographs that can be read; holds back every fifth photograph, or tile of the only one."""
    most_tiles = max(1, MOST_TILES // len(photographs))

    def tiles_of(photograph: Photograph) -> list[Image.Image] | None:
        try:
            image = read_image(photograph.path, megapixels=options.max_megapixels)
        except ValueError as error:
            log.error("%s", error)
            return None
        if max(image.size) < LEAST_PX:
            log.warning("%s: less than %d pixels each way, too few for a crack to be drawn", photograph.path, LEAST_PX)
            return []
        tiles = list(_tiles(image, most_tiles, options.seed))
        if not tiles:
            log.warning("%s: of one colour, there is nothing to draw cracks onto", photograph.path)
        return tiles

    pending = in_threads(tiles_of, photographs, cores())
    results = list(track(pending, "reading", total=len(photographs), unit="photographs"))
    tile_lists = [tiles for tiles in results if tiles]
    if not tile_lists:
        raise UserError(f"source={options.source}: no photograph of a surface could be read: give photographs of walls")
    apart = len(tile_lists) > 1
    if not apart:
        log.warning("one photograph only: what is expected of the map is judged on other parts of the same one")
    groups = tile_lists if apart else [[tile] for tile in tile_lists[0]]
    training = [tile for k, tiles in enumerate(groups) if k % HOLD_BACK_EVERY for tile in tiles]
    held_back = [tile for tiles in groups[::HOLD_BACK_EVERY] for tile in tiles]
    return Site(training or held_back, held_back, len(tile_lists), apart=apart, unread=results.count(None))


def _tiles(image: Image.Image, most: int, seed: int) -> Iterator[Image.Image]:
    """Yields squares of SIDE pixels at `most` random places of a grid, or a patch as a whole; none of one colour."""
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
        if np.asarray(tile.convert("L"), np.float32).std() >= LEAST_SPREAD:
            yield tile


def _marked(reader: CrackMapReader, image: Image.Image) -> np.ndarray:
    odds = reader.above_median(reader.prepared_as(image, small=True), small=True).numpy()
    return followed_cells(odds, reader.classifier.small_level)


def expectation(reader: CrackMapReader, site: Site, judged: int, seed: int) -> dict[str, float]:
    """Returns how well the map finds cracks drawn onto the held-back tiles, and how much it marks there without them.

    `recall_<from>_<to>_px`: share found of the cells of visible cracks of that width; `marked_per_megapixel`: cells
    marked on the tiles as they are, which may show real cracks: there are at most that many false alarms.
    """
    edges, hits, cracked = [0.0, *WIDTHS_PX, np.inf], np.zeros(len(WIDTHS_PX) + 1), np.zeros(len(WIDTHS_PX) + 1)
    for block in lessons(site.held_back, HELD_OUT, judged, seed):
        for lesson in block:
            widths, near_marked = _widths(lesson), near(_marked(reader, lesson.image), 1)
            for k, (low, high) in enumerate(itertools.pairwise(edges)):
                cells = (widths > low) & (widths <= high)
                cracked[k] += cells.sum()
                hits[k] += (cells & near_marked).sum()
    marked = [_marked(reader, tile).sum() for tile in site.held_back[:judged]]
    pixels = sum(tile.width * tile.height for tile in site.held_back[:judged])
    names = [f"recall_{low:g}_{high:g}_px" for low, high in itertools.pairwise(edges)]
    recalls = {name: float(a / b) for name, a, b in zip(names, hits, cracked, strict=True) if b}
    return {**recalls, "marked_per_megapixel": float(sum(marked) / pixels * 1e6)}


def _widths(lesson: Lesson) -> np.ndarray:
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
    """Writes adaptation.png: cracks drawn onto held-back tiles, and below each what the map marks."""
    examples = next(lessons(site.held_back, HELD_OUT, SHOWN, seed))
    sheet = Image.new("RGB", (SHOWN * (SIDE + 8), 2 * (SIDE + 8)), "white")
    for number, lesson in enumerate(examples):
        marked, outlined = _marked(reader, lesson.image), lesson.image.copy()
        draw = ImageDraw.Draw(outlined)
        for row, column in np.argwhere(marked):
            x, y = column * CELL_PX, row * CELL_PX
            draw.rectangle((x, y, x + CELL_PX - 1, y + CELL_PX - 1), outline=(255, 80, 0))
        sheet.paste(lesson.image, (number * (SIDE + 8), 0))
        sheet.paste(outlined, (number * (SIDE + 8), SIDE + 8))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_atomically(folder / "adaptation.png", buffer.getvalue())
