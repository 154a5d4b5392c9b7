"""Draws a crack enlarged at its widest point, with the profile from which its width was measured."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray

# Side of the part shown, in pixels of the photograph; the factor by which it is enlarged.
SIDE_PX, ENLARGEMENT = 72, 5
GRAPH_PX, MARGIN_PX = 130, 12  # height of the graph, and margin around it
LINE_RGB, FLANK_RGB, INK_RGB = (0, 184, 217), (224, 49, 49), (31, 35, 40)


@dataclass(frozen=True)
class CloseUp:
    """The contents of a close-up.

    `place` (2,) is its centre, `across` (2,) the unit vector across the crack, both x and y in pixels of the
    photograph. `levels` (k,) are the grey levels at `offsets` (k,) in pixels along `across`; `flanks` are the offsets
    of the two flanks. `line` (n, 2) is the crack's line, `text` the caption.
    """

    place: Array
    across: Array
    levels: Array
    offsets: Array
    flanks: tuple[float, float]
    line: Array
    text: str


def close_up(grey: Array, shown: CloseUp) -> Image.Image:
    """Draws the close-up from a photograph's grey levels (h, w), with the profile below it."""
    corner = np.round(shown.place - SIDE_PX / 2).astype(int)
    part = Image.fromarray(grey).crop((*corner.tolist(), *(corner + SIDE_PX).tolist()))
    side = SIDE_PX * ENLARGEMENT
    sheet = Image.new("RGB", (side, side + GRAPH_PX + 2 * MARGIN_PX), "white")
    sheet.paste(part.resize((side, side), Image.Resampling.BICUBIC).convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(sheet)
    _draw_lines(draw, shown, corner, side)
    _draw_graph(draw, shown, side)
    return sheet


def _draw_lines(draw: ImageDraw.ImageDraw, shown: CloseUp, corner: Array, side: int) -> None:
    line = (shown.line - corner) * ENLARGEMENT
    near = line[((line > -side) & (line < 2 * side)).all(axis=1)]
    above_graph = near[near[:, 1] < side]
    if len(above_graph) > 1:
        draw.line([tuple(point) for point in above_graph.tolist()], fill=LINE_RGB, width=1)
    ends = [(shown.place + shown.across * flank - corner) * ENLARGEMENT for flank in shown.flanks]
    draw.line([tuple(end.tolist()) for end in ends], fill=FLANK_RGB, width=2)
    for end in ends:
        draw.ellipse((*(end - 3).tolist(), *(end + 3).tolist()), outline=FLANK_RGB, width=2)


def _draw_graph(draw: ImageDraw.ImageDraw, shown: CloseUp, side: int) -> None:
    top, bottom = side + MARGIN_PX + 16, side + GRAPH_PX + MARGIN_PX
    low, high = float(shown.levels.min()), float(shown.levels.max())
    x = MARGIN_PX + (shown.offsets - shown.offsets[0]) / np.ptp(shown.offsets) * (side - 2 * MARGIN_PX)
    y = bottom - (shown.levels - low) / max(high - low, 1.0) * (bottom - top)
    for flank in shown.flanks:
        flank_x = float(np.interp(flank, shown.offsets, x))
        draw.line((flank_x, top, flank_x, bottom), fill=FLANK_RGB, width=2)
    draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=INK_RGB, width=2)
    draw.text((MARGIN_PX, side + 4), shown.text, INK_RGB, ImageFont.load_default(14))
