"""Where the windows of a photograph lie: pure arithmetic of sizes in pixels."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A photograph as a classifier sees it: brought to `scaled_hw`, so that a window of `window_px` fills `image_size`.

    Cells lie `stride` scaled pixels apart; a window has `window_cells` of them each way and begins at each cell.
    """

    size_hw: tuple[int, int]  # of the photograph
    scaled_hw: tuple[int, int]
    image_size: int
    stride: int
    window_cells: int

    @property
    def cells_hw(self) -> tuple[int, int]:
        """Rows and columns of the feature map."""
        height, width = self.scaled_hw
        return math.ceil(height / self.stride), math.ceil(width / self.stride)

    @property
    def windows_hw(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        rows, columns = self.cells_hw
        return max(1, rows - self.window_cells + 1), max(1, columns - self.window_cells + 1)

    @property
    def px_per_scaled_hw(self) -> tuple[float, float]:
        """Pixels of the photograph in a scaled one, down and across."""
        return self.size_hw[0] / self.scaled_hw[0], self.size_hw[1] / self.scaled_hw[1]

    def centres_px(self) -> tuple[list[float], list[float]]:
        """Middles of the windows in pixels of the photograph, down and across."""
        down, across = self.px_per_scaled_hw
        rows, columns = self.windows_hw
        half = self.image_size / 2
        return (
            [(row * self.stride + half) * down for row in range(rows)],
            [(column * self.stride + half) * across for column in range(columns)],
        )


def grid_of(size_hw: tuple[int, int], *, window_px: float, image_size: int, stride: int, window_cells: int) -> Grid:
    """The grid of a photograph. One that is smaller than a window, either way, is stretched to one."""
    factor = image_size / window_px
    height, width = (max(image_size, round(side * factor)) for side in size_hw)
    return Grid(size_hw, (height, width), image_size, stride, window_cells)


@dataclass(frozen=True)
class Band:
    """Rows `top` to `bottom` of the scaled photograph are computed; of their cells `skip` above do not count, then
    `cells` do."""

    top: int
    bottom: int
    skip: int
    cells: int


def bands(grid: Grid, *, margin_px: int, most_px: float) -> list[Band]:
    """Overlapping bands of full width with at most `most_px` scaled pixels each, as far as their margins allow.

    `margin_px` is as far as a cell sees, so that no cell that counts knows that its band ends.
    """
    height, width = grid.scaled_hw
    if height * width <= most_px:
        return [Band(0, height, 0, grid.cells_hw[0])]
    margin = math.ceil(margin_px / grid.stride) * grid.stride
    core = max(grid.stride, int((most_px / width - 2 * margin) // grid.stride) * grid.stride)
    count = math.ceil(height / core)
    core = math.ceil(height / count / grid.stride) * grid.stride  # bands of like size
    found = []
    for start in range(0, height, core):
        top, end = max(0, start - margin), min(height, start + core)
        cells = math.ceil(end / grid.stride) - start // grid.stride
        found.append(Band(top, min(height, end + margin), (start - top) // grid.stride, cells))
    return found


def tiles(size_hw: tuple[int, int], side_px: float) -> Iterator[tuple[int, int, tuple[int, int, int, int]]]:
    """Row, column and box_xyxy of tiles beside each other; the last ones end where the photograph does."""
    down, across = (_edges(size, side_px) for size in size_hw)
    for row, (top, bottom) in enumerate(itertools.pairwise(down)):
        for column, (left, right) in enumerate(itertools.pairwise(across)):
            yield row, column, (left, top, right, bottom)


def _edges(size: int, side_px: float) -> list[int]:
    count = max(1, round(size / side_px))
    return [*(round(number * side_px) for number in range(count)), size]
