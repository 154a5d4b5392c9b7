"""Places windows and tiles on a photograph: pure arithmetic of sizes in pixels."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class MapShape:
    """The shape of a backbone's feature map: pixels between two cells, and cells each way in a training picture.

    Some backbones skip an incomplete cell at the end: they have `whole_cells` only.
    """

    stride: int
    window_cells: int
    whole_cells: bool = False


@dataclass(frozen=True)
class Grid:
    """The windows of a photograph, which is scaled to `scaled_hw`, so that a window of `window_px` fills `image_size`.

    Cells lie `stride` scaled pixels apart; a window has `window_cells` of them each way and begins at each cell.
    """

    size_hw: tuple[int, int]  # of the photograph
    window_px: float
    scaled_hw: tuple[int, int]
    image_size: int
    stride: int
    window_cells: int
    whole_cells: bool = False

    @property
    def cells_hw(self) -> tuple[int, int]:
        """Returns rows and columns of the feature map."""
        beyond = 0 if self.whole_cells else self.stride - 1
        height, width = ((side + beyond) // self.stride for side in self.scaled_hw)
        return height, width

    @property
    def windows_hw(self) -> tuple[int, int]:
        """Returns rows and columns of windows."""
        rows, columns = self.cells_hw
        return max(1, rows - self.window_cells + 1), max(1, columns - self.window_cells + 1)

    @property
    def px_per_scaled_hw(self) -> tuple[float, float]:
        """Returns pixels of the photograph in a scaled one, down and across."""
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
    """Returns the grid of a photograph. One that is smaller than a window, either way, is stretched to one."""
    factor = image_size / window_px
    height, width = (max(image_size, round(side * factor)) for side in size_hw)
    return Grid(size_hw, window_px, (height, width), image_size, shape.stride, shape.window_cells, shape.whole_cells)


@dataclass(frozen=True)
class Span:
    """A part of a side: cells `start` to `end` count; `low` to `high` are computed, so that the former see no end."""

    start: int
    end: int
    low: int
    high: int


def spans(size: int, *, most: int, reach: int, stride: int) -> list[Span]:
    """Returns overlapping spans of a side of `size` cells, of at most `most` each where `reach` to either end allows
    it.

    They begin at multiples of `stride`.
    """
    if size <= most:
        return [Span(0, size, 0, size)]
    core = max(stride, (most - 2 * reach) // stride * stride)
    core = math.ceil(size / math.ceil(size / core) / stride) * stride  # of similar size
    starts = range(0, size, core)
    return [Span(s, min(size, s + core), max(0, s - reach), min(size, s + core + reach)) for s in starts]


def overlapping(size_hw: tuple[int, int], *, most: float, reach: int, stride: int) -> list[tuple[Span, Span]]:
    """Returns tiles, down and across, of at most `most` cells each: squares, or longer if the other side is short."""
    short, long = sorted(size_hw)
    across_short = spans(short, most=math.isqrt(int(most)), reach=reach, stride=stride)
    widest = max(span.high - span.low for span in across_short)
    across_long = spans(long, most=int(most / widest), reach=reach, stride=stride)
    down, across = (across_short, across_long) if size_hw[0] == short else (across_long, across_short)
    return list(itertools.product(down, across))


def tiles(size_hw: tuple[int, int], side_px: float) -> Iterator[tuple[int, int, tuple[int, int, int, int]]]:
    """Yields row, column and box_xyxy of tiles beside each other; the last ones end where the photograph does."""
    down, across = (_edges(size, side_px) for size in size_hw)
    for row, (top, bottom) in enumerate(itertools.pairwise(down)):
        for column, (left, right) in enumerate(itertools.pairwise(across)):
            yield row, column, (left, top, right, bottom)


def _edges(size: int, side_px: float) -> list[int]:
    count = max(1, round(size / side_px))
    return [*(round(number * side_px) for number in range(count)), size]
