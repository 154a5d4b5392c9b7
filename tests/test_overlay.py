import numpy as np
from PIL import Image, ImageDraw

from crack_lightning.inference import overlay as drawing
from crack_lightning.inference.heat import Heat
from crack_lightning.inference.overlay import bar_length_mm, heat_picture, overlay, reduced, scale_colours
from crack_lightning.inference.regions import regions


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
