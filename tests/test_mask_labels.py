"""Which value of a mask is crack: of two, of three, of colours, of what JPEG made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.mask_labels import crack_pixels, parse_crack_label
from crack_lightning.data.samples.masks import find_masked, mask_of, with_crack_labels
from crack_lightning.errors import UserError

HALF = np.zeros((20, 30), np.uint8)
HALF[:, :10] = 1


def put(path: Path, levels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(levels)
    (image.convert(mode) if mode else image).save(path)
    return path


def read(path: Path, label: Any = None) -> np.ndarray:
    return crack_pixels(path, parse_crack_label(label, path.parent), megapixels=1)


@pytest.mark.parametrize("white", [1, 255, 38])
@pytest.mark.parametrize("mode", [None, "RGB", "P", "1"])
def test_of_two_values_the_lighter_is_crack(tmp_path: Path, white: int, mode: str | None) -> None:
    if mode == "1" and white != 255:
        pytest.skip("black and white")
    path = put(tmp_path / "mask.png", HALF * np.uint8(white), mode)
    assert np.array_equal(read(path), HALF == 1)


def test_a_palette_is_read_by_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(1 - HALF).convert("P")
    image.putdata((1 - HALF).flatten().tolist())
    image.putpalette([255, 255, 255, 0, 0, 0])  # number 0 is white
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read(tmp_path / "mask.png"), HALF == 1)


@pytest.mark.parametrize(("level", "crack"), [(0, False), (255, True)])
def test_a_mask_of_one_value(tmp_path: Path, level: int, crack: bool) -> None:
    path = put(tmp_path / "mask.png", np.full((20, 30), level, np.uint8))
    assert read(path).all() == crack
    assert read(path).any() == crack


def test_grey_levels_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    levels = np.tile(np.linspace(0, 255, 30).astype(np.uint8), (20, 1))
    found = read(put(tmp_path / "mask.png", levels))
    assert found[:, -1].all()
    assert not found[:, 0].any()
    assert "mask.png has grey levels" in caplog.text


THREE = HALF.copy()
THREE[:, 20:] = 2  # 0 sound, 1 crack, 2 another damage
PAINTED = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)[THREE]


def palette() -> Image.Image:
    image = Image.fromarray(THREE).convert("P")
    image.putdata(THREE.flatten().tolist())
    image.putpalette(np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8).tobytes())
    return image


SEEN = {  # a mask of three values as programs write it, and what says which of them is crack
    "levels": (Image.fromarray(THREE), 1),
    "more levels": (Image.fromarray(THREE * np.uint8(100)), 100),
    "16 bits": (Image.fromarray(THREE.astype(np.uint16) * 300), 300),
    "colours": (Image.fromarray(PAINTED), "#fa3253"),
    "a list of three": (Image.fromarray(PAINTED), [250, 50, 83]),
    "three numbers": (Image.fromarray(PAINTED), "250,50,83"),
    "a palette by its place": (palette(), 1),
    "a palette by its colour": (palette(), "#fa3253"),
    "a name": (Image.fromarray(PAINTED), "crack"),
}


@pytest.mark.parametrize("kind", SEEN)
def test_of_three_values_the_named_one_is_crack(tmp_path: Path, kind: str) -> None:
    image, label = SEEN[kind]
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\ncrack:250,50,83::\nspalling:51,221,255::\n"
    )
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read(tmp_path / "mask.png", label), THREE == 1)


def test_colours_that_jpeg_smeared_are_near_the_named_one(tmp_path: Path) -> None:
    disc = np.hypot(*np.mgrid[-80:80, -80:80])
    truth, numbers = disc < 40, np.where(disc < 40, 1, 2 * (disc > 70))
    colours = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
    Image.fromarray(colours[numbers]).save(tmp_path / "mask.jpg", quality=60)
    assert (read(tmp_path / "mask.jpg", "#fa3253") == truth).mean() > 0.98
    with pytest.raises(UserError, match=r"more than 16 colours, as JPEG smears them"):
        find_labels(tmp_path, Image.open(tmp_path / "mask.jpg"))


def test_what_is_transparent_is_no_crack(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[..., 3] = 255 * HALF  # black paint over nothing
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    (sample,) = find_labels(tmp_path / "set", Image.open(tmp_path / "mask.png"))
    assert np.array_equal(mask_of(sample, (30, 20)), HALF == 1)


def test_a_mask_made_smaller_has_levels_and_no_labels(tmp_path: Path) -> None:
    disc = np.uint8(255 * (np.hypot(*np.mgrid[-80:80, -80:80]) < 50))
    small = Image.fromarray(disc).resize((40, 40), Image.Resampling.BOX)
    (sample,) = find_labels(tmp_path, small)
    assert mask_of(sample, (40, 40)).mean() == pytest.approx(np.pi * 50**2 / 160**2, rel=0.03)


def find_labels(root: Path, *masks: Image.Image, label: Any = None) -> list[Sample]:
    for number, mask in enumerate(masks):
        put(root / "images" / f"{number}.png", np.zeros(mask.size[::-1], np.uint8))
        (root / "masks").mkdir(exist_ok=True)
        mask.save(root / "masks" / f"{number}.png")
    return with_crack_labels(find_masked(root), label, root, megapixels=1)


def test_labels_are_those_of_all_masks_together(tmp_path: Path) -> None:
    plain, two = Image.fromarray(HALF), Image.fromarray(np.uint8(THREE // 2 * 2))  # none has three values
    with pytest.raises(UserError, match=r"have 3 labels, 0, 1, 2: say which .* data.crack_label=1"):
        find_labels(tmp_path, plain, two)
    first, second = find_labels(tmp_path, plain, two, label=1)
    assert np.array_equal(mask_of(first, (30, 20)), HALF == 1)
    assert not mask_of(second, (30, 20)).any()
    with pytest.raises(UserError, match=r"none of 2 masks shows a crack.* there are the values 0, 1, 2"):
        find_labels(tmp_path, plain, two, label=7)
    with pytest.raises(UserError, match=r"data.crack_label=crak: must be a value such as 1, a colour"):
        find_labels(tmp_path, plain, label="crak")


def test_a_sound_mask_has_the_darker_value_of_its_set(tmp_path: Path) -> None:
    _, sound = find_labels(tmp_path, Image.fromarray(HALF + np.uint8(1)), Image.fromarray(np.ones_like(HALF)))
    assert not mask_of(sound, (30, 20)).any()


@pytest.mark.parametrize("stored", ["upright", "as the sensor saw it"])
def test_masks_stored_unturned_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture, stored: str) -> None:
    rng = np.random.default_rng(0)
    sensor, exif = rng.normal(150, 5, (120, 160)), Image.Exif()
    mask = np.zeros((120, 160), np.uint8)
    mask[20:24, 10:150] = 255
    sensor[mask > 0] = 60
    exif[0x0112] = 3  # half a turn: the size does not tell
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(sensor.clip(0, 255).astype(np.uint8)).save(tmp_path / "images/a.jpg", exif=exif, quality=95)
    Image.fromarray(mask[::-1, ::-1] if stored == "upright" else mask).save(tmp_path / "masks/a.png")
    with_crack_labels(find_masked(tmp_path), None, tmp_path, megapixels=1)
    assert ("1 of 1 masks of photographs that EXIF turns fit darker lines" in caplog.text) == (stored != "upright")
