import numpy as np
import pytest

from crack_lightning.evaluation.cell_counts import counted_cells, masked_cells, near, total


def line(row: int, length: int = 10) -> np.ndarray:
    cells = np.zeros((9, 12), bool)
    cells[row, :length] = True
    return cells


@pytest.mark.parametrize(("row", "tolerance", "f1"), [(4, 0, 1.0), (5, 0, 0.0), (5, 1, 1.0), (6, 1, 0.0), (6, 2, 1.0)])
def test_a_line_beside_the_crack_counts_within_tolerance(row: int, tolerance: int, f1: float) -> None:
    assert counted_cells(line(row), line(4), tolerance=tolerance).f1 == pytest.approx(f1)


def test_half_of_a_crack_has_half_the_recall() -> None:
    counts = counted_cells(line(4, 5), line(4), tolerance=0)
    assert (counts.precision, counts.recall, counts.f1) == (1.0, 0.5, pytest.approx(2 / 3))


def test_nothing_marked_and_nothing_there_is_zero() -> None:
    counts = counted_cells(line(4, 0), line(4, 0), tolerance=1)
    assert (counts.precision, counts.recall, counts.f1) == (0.0, 0.0, 0.0)


def test_counts_of_photographs_are_added() -> None:
    both = total([counted_cells(line(4), line(4), tolerance=0), counted_cells(line(4), line(4, 0), tolerance=0)])
    assert both.values == (20, 10, 10, 10)


def test_a_cell_is_of_a_crack_if_a_pixel_is() -> None:
    mask = np.zeros((9, 13), bool)
    mask[8, 12] = mask[3, 4] = True
    assert np.argwhere(masked_cells(mask)).tolist() == [[0, 1], [2, 3]]


def test_near_cells_form_a_square() -> None:
    cells = np.zeros((7, 7), bool)
    cells[3, 3] = True
    assert near(cells, 2).sum() == 25
