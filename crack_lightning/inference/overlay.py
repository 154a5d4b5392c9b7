"""Draws heat maps with regions, or the lines of cracks, and a scale bar over photographs."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from crack_lightning.inference.heat import Heat
from crack_lightning.inference.regions import Region
from crack_lightning.measurement.classes import UNKNOWN_COLOUR, WidthClasses
from crack_lightning.measurement.record import CrackRecord

Array = np.ndarray

COLOUR_MAP = "inferno"
MAX_OPACITY = 0.6  # opacity of the heat map at a probability of 1
OUTLINE_RGB = (0, 229, 255)  # a colour that concrete does not have
UNLIKELY_RGB = (150, 155, 160)  # marks that are probably no cracks
DASH_EDGE_RGB = (13, 17, 23)  # beside the dashes of a crack of unknown width
CONCRETE_GREY = 165  # grey level below the colours of the legend
BAND_ROWS = 256  # rows of a picture that are computed at once, since they take a hundred bytes per pixel
MAX_JPEG_SIDE_PX = 65_500  # longest side of a JPEG
MAX_BAR_SHARE = 0.2  # largest length of the scale bar, relative to the picture's width


def reduced(image: Image.Image, most_px: int | None) -> Image.Image:
    """Returns the photograph with a longer side of at most `most_px` and what a JPEG can have."""
    factor = min(most_px or MAX_JPEG_SIDE_PX, MAX_JPEG_SIDE_PX) / max(image.size)
    if factor >= 1:
        return image
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def heat_picture(heat: Heat, size: tuple[int, int]) -> Image.Image:
    """Returns the heat map without a photograph, as a grey picture of `size` (width, height); 255 is certain."""
    picture = Image.new("L", size)
    for top, levels in _bands(heat, size):
        picture.paste(Image.fromarray(np.rint(levels * 255).astype(np.uint8)), (0, top))
    return picture


def _bands(heat: Heat, size: tuple[int, int]) -> Iterator[tuple[int, Array]]:
    """Yields the heat map of a picture of `size` (width, height) in bands: the first row, and levels (n, width)."""
    y, x = ((np.arange(n) + 0.5) * side / n for n, side in zip(size[::-1], heat.size_hw, strict=True))
    for top in range(0, size[1], BAND_ROWS):
        yield top, heat.at(y[top : top + BAND_ROWS], x).clip(0, 1)


def overlay(small: Image.Image, heat: Heat, regions: Sequence[Region], *, mm_per_px: float | None) -> Image.Image:
    """Draws a heat map, its regions and a scale bar over `small`, a reduced photograph.

    `mm_per_px` is the scale of the photograph at full size.
    """
    picture = small.copy()
    for top, levels in _bands(heat, small.size):
        band = np.asarray(small.crop((0, top, small.width, top + len(levels))), np.float32)
        picture.paste(Image.fromarray(_coloured(band, levels)), (0, top))
    factor = small.width / heat.size_hw[1], small.height / heat.size_hw[0]
    draw = ImageDraw.Draw(picture)
    width, outlines = max(2, round(max(small.size) / 500)), list[Array]()
    for region in regions:
        rings = [np.array(ring.coords) * factor for ring in (region.polygon.exterior, *region.polygon.interiors)]
        for ring in rings:
            draw.line([(x, y) for x, y in ring], fill=OUTLINE_RGB, width=width, joint="curve")
        outlines.append(rings[0])
    tops = {number: outline[outline[:, 1].argmin()] for number, outline in enumerate(outlines, 1)}
    write_numbers(draw, tops, picture.size)
    if mm_per_px is not None:
        _scale_bar(draw, picture.size, mm_per_px / factor[0])
    return picture


def crack_overlay(
    small: Image.Image,
    records: Sequence[CrackRecord],
    classes: WidthClasses,
    size_hw: tuple[int, int],
    *,
    mm_per_px: float | None,
) -> Image.Image:
    """Draws cracks, in the colours of their classes, over `small`, a reduced copy of a photograph of `size_hw`.

    Cracks of unknown width are dashed. Marks that are probably no cracks are drawn thin and grey, without a number.
    """
    picture = small.copy()
    factor = np.array([small.width / size_hw[1], small.height / size_hw[0]])
    draw, width = ImageDraw.Draw(picture), max(2, round(max(small.size) / 700))
    for record in reversed(records):  # draws the first last, on top
        colour = classes.colour_of(record.width_class) if record.likely else UNLIKELY_RGB
        line_width = width if record.likely else max(1, width // 2)
        for line in record.lines:
            points = line * factor
            dashed = record.likely and record.width_px.median is None
            parts = _dashes(points, 8 * line_width) if dashed else [points]
            if dashed or colour == UNKNOWN_COLOUR:
                _draw_lines(draw, parts, DASH_EDGE_RGB, line_width + 2)
            _draw_lines(draw, parts, colour, line_width)
    numbers = {record.number: _middle(record) * factor for record in records if record.likely}
    write_numbers(draw, numbers, picture.size)
    if mm_per_px is not None:
        _scale_bar(draw, picture.size, mm_per_px / float(factor[0]))
    return picture


def _draw_lines(
    draw: ImageDraw.ImageDraw, lines: Sequence[Array], colour: str | tuple[int, int, int], width: int
) -> None:
    for line in lines:
        draw.line([(x, y) for x, y in line.tolist()], fill=colour, width=width, joint="curve")


def _dashes(line: Array, period_px: float) -> list[Array]:
    """Returns the dashes of a line (n, 2): two thirds of every `period_px` along it."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    dashes = []
    for start in np.arange(0, along[-1], period_px):
        inside = along[(along > start) & (along < start + period_px * 2 / 3)]
        places = np.concatenate([[start], inside, [min(start + period_px * 2 / 3, along[-1])]])
        dashes.append(np.column_stack([np.interp(places, along, column) for column in line.T]))
    return dashes or [line]


def _middle(record: CrackRecord) -> Array:
    """Returns the middle point of the longest line."""
    longest = max(record.lines, key=len)
    return np.asarray(longest[len(longest) // 2])


def scale_colours(count: int = 11) -> list[str]:
    """Returns CSS colours for `count` probabilities from 0 to 1, as they look over grey concrete."""
    levels = np.linspace(0, 1, count)[None]
    pixels = _coloured(np.full((1, count, 3), CONCRETE_GREY, np.float32), levels)[0]
    return [f"rgb({red},{green},{blue})" for red, green, blue in pixels.tolist()]


def _coloured(band: Array, levels: Array) -> Array:
    """Returns pixels (h, w, 3), 0..255, covered by the colours of `levels` (h, w); higher levels are more opaque."""
    colours = colormaps[COLOUR_MAP](levels)[..., :3] * 255
    alpha = (MAX_OPACITY * levels)[..., None]
    return np.rint(band * (1 - alpha) + colours * alpha).astype(np.uint8)


def write_numbers(draw: ImageDraw.ImageDraw, places: Mapping[int, Array], size: tuple[int, int]) -> None:
    """Writes numbers above their `places` (x, y), within the picture; omits one that would cover an earlier one."""
    font_px = max(12, round(max(size) / 80))
    font, stroke, boxes = ImageFont.load_default(font_px), max(1, font_px // 8), list[tuple[float, ...]]()
    for number, (x, y) in places.items():
        place = (min(max(x, font_px), size[0] - font_px), max(y, 1.2 * font_px))
        left, top, right, bottom = draw.textbbox(place, str(number), font, anchor="mb", stroke_width=stroke)
        if all(left > box[2] or right < box[0] or top > box[3] or bottom < box[1] for box in boxes):
            boxes.append((left, top, right, bottom))
            draw.text(place, str(number), OUTLINE_RGB, font, anchor="mb", stroke_width=stroke, stroke_fill="black")


def bar_length_mm(width_mm: float) -> float:
    """Returns 1, 2 or 5 times a power of ten: the longest such bar within MAX_BAR_SHARE of a picture's width."""
    most = MAX_BAR_SHARE * width_mm
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most))


def _scale_bar(draw: ImageDraw.ImageDraw, size: tuple[int, int], mm_per_px: float) -> None:
    length_mm = bar_length_mm(size[0] * mm_per_px)
    length, unit = length_mm / mm_per_px, max(size) / 100
    x, y = 2 * unit, size[1] - 2 * unit
    font = ImageFont.load_default(max(10, round(1.6 * unit)))
    text = f"{length_mm:g} mm" if length_mm < 1000 else f"{length_mm / 1000:g} m"
    draw.rectangle((x - unit, y - 3.2 * unit, x + length + unit, y + unit), fill=(0, 0, 0))
    draw.line((x, y, x + length, y), fill=(255, 255, 255), width=max(2, round(unit / 3)))
    draw.text((x, y - 2.8 * unit), text, fill=(255, 255, 255), font=font)
