"""Computes where windows and tiles are on a photograph, from sizes in pixels only."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class MapShape:
    """The shape of a backbone's feature map.

    `stride`: pixels between two cells. `window_cells`: cells along each side of a training picture.
    `whole_cells`: whether the backbone skips an incomplete cell at the end of a side.
    """

    stride: int
    window_cells: int
    whole_cells: bool = False


@dataclass(frozen=True)
class Grid:
    """The windows of a photograph, scaled to `scaled_hw` so that a window of `window_px` has sides of `image_size`.

    Cells are `stride` scaled pixels apart. A window begins at each cell and has `window_cells` along each side.
    """

    size_hw: tuple[int, int]  # size of the photograph
    window_px: float
    scaled_hw: tuple[int, int]
    image_size: int
    stride: int
    window_cells: int
    whole_cells: bool = False

    @property
    def cells_hw(self) -> tuple[int, int]:
        """Returns the numbers of rows and columns of the feature map."""
        beyond = 0 if self.whole_cells else self.stride - 1
        height, width = ((side + beyond) // self.stride for side in self.scaled_hw)
        return height, width

    @property
    def windows_hw(self) -> tuple[int, int]:
        """Returns the numbers of rows and columns of windows."""
        rows, columns = self.cells_hw
        return max(1, rows - self.window_cells + 1), max(1, columns - self.window_cells + 1)

    @property
    def px_per_scaled_hw(self) -> tuple[float, float]:
        """Returns how many pixels of the photograph a scaled pixel covers, down and across."""
        return self.size_hw[0] / self.scaled_hw[0], self.size_hw[1] / self.scaled_hw[1]

    def centres_px(self) -> tuple[list[float], list[float]]:
        """Returns the middles of the windows in pixels of the photograph, down and across."""
        down, across = self.px_per_scaled_hw
        rows, columns = self.windows_hw
        half = self.image_size / 2
        return (
            [(row * self.stride + half) * down for row in range(rows)],
            [(column * self.stride + half) * across for column in range(columns)],
        )


def grid_of(size_hw: tuple[int, int], *, window_px: float, image_size: int, shape: MapShape) -> Grid:
    """Returns the grid of a photograph. A side shorter than a window is stretched to a window's side."""
    factor = image_size / window_px
    height, width = (max(image_size, round(side * factor)) for side in size_hw)
    return Grid(size_hw, window_px, (height, width), image_size, shape.stride, shape.window_cells, shape.whole_cells)


@dataclass(frozen=True)
class Span:
    """A part of a side: cells `start` to `end` count. Cells `low` to `high` are computed, so that no end shows."""

    start: int
    end: int
    low: int
    high: int


def spans(size: int, *, most: int, reach: int, stride: int) -> list[Span]:
    """Returns overlapping spans of a side of `size` cells, which begin at multiples of `stride`.

    Each includes `reach` cells beyond its ends, and has at most `most` cells if that leaves room for `stride` cells.
    """
    if size <= most:
        return [Span(0, size, 0, size)]
    core = max(stride, (most - 2 * reach) // stride * stride)
    core = math.ceil(size / math.ceil(size / core) / stride) * stride  # makes the spans similar in size
    starts = range(0, size, core)
    return [Span(s, min(size, s + core), max(0, s - reach), min(size, s + core + reach)) for s in starts]


def overlapping(size_hw: tuple[int, int], *, most: float, reach: int, stride: int) -> list[tuple[Span, Span]]:
    """Returns tiles, down and across, of at most `most` cells each: squares, or strips if one side is short."""
    short, long = sorted(size_hw)
    across_short = spans(short, most=math.isqrt(int(most)), reach=reach, stride=stride)
    widest = max(span.high - span.low for span in across_short)
    across_long = spans(long, most=int(most / widest), reach=reach, stride=stride)
    down, across = (across_short, across_long) if size_hw[0] == short else (across_long, across_short)
    return list(itertools.product(down, across))


def tiles(size_hw: tuple[int, int], side_px: float) -> Iterator[tuple[int, int, tuple[int, int, int, int]]]:
    """Yields row, column and box (left, top, right, bottom) of adjacent tiles that cover the photograph."""
    down, across = (_edges(size, side_px) for size in size_hw)
    for row, (top, bottom) in enumerate(itertools.pairwise(down)):
        for column, (left, right) in enumerate(itertools.pairwise(across)):
            yield row, column, (left, top, right, bottom)


def _edges(size: int, side_px: float) -> list[int]:
    count = max(1, round(size / side_px))
    return [*(round(index * side_px) for index in range(count)), size]
