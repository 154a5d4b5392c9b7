import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.images.reading import read_image

GREY = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)


def read(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_greyscale_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "g.png")
    assert (read(tmp_path / "g.png") == GREY[..., None]).all()


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "p.png")
    assert read(tmp_path / "p.png").tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), (100, 50, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    image.save(tmp_path / "a.png")
    opaque, clear, half = read(tmp_path / "a.png")[0]
    assert opaque.tolist() == [100, 50, 0]
    assert clear.tolist() == [255, 255, 255]
    assert half.tolist() == pytest.approx([127, 127, 127], abs=1)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=100)
    red, green, blue = read(tmp_path / "c.jpg")[4, 4].tolist()
    assert red > 250
    assert max(green, blue) < 5


@pytest.mark.parametrize("name", ["s.png", "s.tif"])
def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path, name: str) -> None:
    levels = GREY.astype(np.uint16) * 257
    Image.fromarray(levels).save(tmp_path / name)
    assert (read(tmp_path / name) == GREY[..., None]).all()


def test_floating_point_in_0_to_1_is_scaled(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.float32) / 255).save(tmp_path / "f.tif")
    assert (read(tmp_path / "f.tif") == GREY[..., None]).all()


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "1.png")
    assert (read(tmp_path / "1.png")[..., 0] == np.where(GREY > 100, 255, 0)).all()


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (6, 4), "white")
    image.paste("black", (0, 0, 3, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter: shown rightly, the picture is upright
    image.save(tmp_path / "e.jpg", exif=exif, quality=100, subsampling=0)
    turned = read(tmp_path / "e.jpg")
    assert turned.shape == (6, 4, 3)
    assert turned[0, 3].max() < 60
    assert turned[0, 0].min() > 200


def test_a_damaged_exif_block_beside_the_orientation_is_no_fault(tmp_path: Path) -> None:
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    unit = struct.pack("<HHI4s", 0x0128, 2, 4, b"cm\0\0")  # a text where the standard has a number
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + orientation + unit + bytes(4)
    Image.new("RGB", (6, 4), "white").save(tmp_path / "e.jpg", exif=exif)
    assert read(tmp_path / "e.jpg").shape == (6, 4, 3)


@pytest.mark.parametrize("name", ["m.webp", "m.tif", "m.png"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    red, _, blue = read(tmp_path / name)[4, 4].tolist()
    assert red > 200 > 60 > blue


def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"x.jpg cannot be decoded: not an image that can be identified"):
        read_image(tmp_path / "x.jpg")
