import itertools

import numpy as np
from PIL import Image, ImageDraw

from crack_lightning.inference import overlay as drawing
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import bar_length_mm, heat_picture, overlay, reduced, scale_colours
from crack_lightning.inference.regions import regions
from crack_lightning.measurement.classes import COLOURS, UNKNOWN_COLOUR


def sloping(width: int, height: int) -> Heat:
    """Probabilities from 0 at the top to 1 at the bottom."""
    y, x = np.array([0.0, height]), np.array([0.0, width])
    return Heat(np.array([[0, 0], [1, 1]], np.float32), y, x, (height, width), 20)


def test_bands_make_the_same_picture_as_the_whole() -> None:
    small, heat = (
        Image.new("RGB", (40, 2 * drawing.BAND_ROWS + 7), (100, 110, 120)),
        sloping(40, 2 * drawing.BAND_ROWS + 7),
    )
    levels = np.asarray(heat_picture(heat, small.size)) / 255
    rows = (np.arange(small.height) + 0.5) / small.height
    assert np.abs(levels - rows[:, None]).max() <= 0.5 / 255 + 1e-6
    pixels = np.asarray(overlay(small, heat, [], mm_per_px=None), np.float64)
    colours = drawing.colormaps[drawing.COLOUR_MAP](rows)[:, :3] * 255
    alpha = drawing.MAX_OPACITY * rows[:, None]
    expected = np.array([100, 110, 120]) * (1 - alpha) + colours * alpha
    assert np.abs(pixels - expected[:, None]).max() <= 0.51


def test_a_region_is_outlined_and_numbered() -> None:
    heat = sloping(200, 200)
    (found,) = regions(heat, 0.5)
    bare, marked = (
        np.asarray(overlay(Image.new("RGB", (200, 200), "grey"), heat, some, mm_per_px=None), int)
        for some in ([], [found])
    )
    changed = np.abs(marked - bare).max(axis=2) > 0
    assert changed[100].mean() > 0.9  # where the probability is 0.5
    assert changed[84:99].any()  # its number above
    assert not changed[:80].any()


def test_a_number_never_covers_a_lower_one() -> None:
    def written(places: list[tuple[float, float]]) -> np.ndarray:
        picture = Image.new("RGB", (200, 100), "grey")
        numbered = {number: np.array(place) for number, place in enumerate(places, 1)}
        drawing.write_numbers(ImageDraw.Draw(picture), numbered, picture.size)
        return np.asarray(picture)

    assert np.array_equal(written([(50, 50), (55, 52)]), written([(50, 50)]))
    assert not np.array_equal(written([(50, 50), (150, 52)]), written([(50, 50)]))


def test_a_picture_is_reduced_by_longer_side_never_enlarged() -> None:
    image = Image.new("RGB", (300, 200))
    assert reduced(image, 150).size == (150, 100)
    assert reduced(image, 301).size == reduced(image, None).size == (300, 200)
    assert reduced(Image.new("RGB", (5000, 1)), 100).size == (100, 1)


def test_the_legend_has_bare_concrete_and_the_overlay_colours() -> None:
    grey = drawing.CONCRETE_GREY
    assert scale_colours()[0] == f"rgb({grey},{grey},{grey})"
    heat = Heat(np.array([[1.0]], np.float32), np.array([1.0]), np.array([1.0]), (2, 2), 2)
    pixel = overlay(Image.new("RGB", (2, 2), (grey,) * 3), heat, [], mm_per_px=None).getpixel((0, 0))
    assert scale_colours()[-1] == "rgb({},{},{})".format(*pixel)  # type: ignore[misc]


def test_a_scale_bar_is_a_round_length() -> None:
    assert [bar_length_mm(width) for width in (100, 240, 1000, 33_000)] == [20, 20, 200, 5000]


def test_classes_are_told_apart_with_every_kind_of_colour_vision() -> None:
    """By the simulations of Machado, Oliveira and Fernandes (2009) of those who lack one kind of cone."""
    simulated = [
        np.eye(3),
        np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
        np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
        np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
    ]
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])

    def lab(colour: str, matrix: np.ndarray) -> np.ndarray:
        levels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
        x, y, z = np.cbrt(to_xyz @ (matrix @ linear).clip(0, 1) / [0.95047, 1, 1.08883])
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    for matrix in simulated:
        seen = {colour: lab(colour, matrix) for colour in (*COLOURS, UNKNOWN_COLOUR)}
        for one, other in itertools.combinations(seen, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 12, (one, other)
