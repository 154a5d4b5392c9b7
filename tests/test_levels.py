"""Files whose tags decide what their numbers mean, and files that are not what they seem."""

import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from crack_lightning.data.images import formats
from crack_lightning.data.images.reading import DIM_DOUBT, ORIENTATIONS, read_image, read_picture

GREY = np.linspace(0, 255, 40 * 30).reshape(40, 30).astype(np.uint8)
SIXTEEN = GREY.astype(np.uint16) * 257
TWELVE = (GREY.astype(np.uint32) * 4095 // 255).astype(np.uint16)
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)

MOST = (281, "H", 1, 4095, True)
SAME: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "black is zero": (SIXTEEN, {"photometric": "minisblack"}),
    "white is zero": (65535 - SIXTEEN, {"photometric": "miniswhite"}),
    "white is zero, 8 bits": (255 - GREY, {"photometric": "miniswhite"}),
    "12 bits, declared": (TWELVE, {"photometric": "minisblack", "extratags": [MOST]}),
    "12 bits, white is zero": (4095 - TWELVE, {"photometric": "miniswhite", "extratags": [MOST]}),
    "32 bits": (GREY.astype(np.uint32) * 16843009, {"photometric": "minisblack"}),
    "15 bits, signed": ((GREY.astype(np.int32) * 32767 // 255).astype(np.int16), {"photometric": "minisblack"}),
    "floating point": (GREY.astype(np.float32) / 255, {"photometric": "minisblack"}),
    "compressed": (SIXTEEN, {"photometric": "minisblack", "compression": "zlib"}),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_tiff_is_read_as_its_tags_say(tmp_path: Path, kind: str) -> None:
    levels, options = SAME[kind]
    tifffile.imwrite(tmp_path / "x.tif", levels, **options)
    picture = read_picture(tmp_path / "x.tif")
    assert np.abs(np.asarray(picture.image)[..., 0].astype(int) - GREY).max() <= 1
    assert picture.doubt == ""


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_colours_of_8_and_16_bits_in_any_planes(tmp_path: Path, planes: Any, depth: Any) -> None:
    levels = RGB.astype(depth) * (257 if depth is np.uint16 else 1)
    levels = levels.transpose(2, 0, 1) if planes == "separate" else levels
    tifffile.imwrite(tmp_path / "x.tif", levels, photometric="rgb", planarconfig=planes)
    assert np.abs(np.asarray(read_image(tmp_path / "x.tif")).astype(int) - RGB).max() <= 1


def test_levels_that_would_have_to_be_guessed_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", GREY.astype(np.int16) - 100, photometric="minisblack")
    with pytest.raises(ValueError, match=r"x.tif cannot be decoded: it has signed levels below zero"):
        read_image(tmp_path / "x.tif")
    for levels in (GREY - np.float32(300), GREY * np.float32(1e9), np.full_like(GREY, np.nan, np.float32)):
        tifffile.imwrite(tmp_path / "x.tif", levels, photometric="minisblack")
        with pytest.raises(
            ValueError, match=r"x.tif cannot be decoded: most of its levels are not numbers, or none is"
        ):
            read_image(tmp_path / "x.tif")


def test_a_tiff_of_an_unread_kind_is_reported_as_such(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", GREY.astype(np.complex64), photometric="minisblack")
    with pytest.raises(ValueError, match=r"x.tif cannot be decoded: .*save it"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("name", ["x.tif", "x.png", "colour.png"])
def test_twelve_bits_that_nobody_declares_are_in_doubt(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    if name == "colour.png":
        (tmp_path / name).write_bytes(sixteen_bit_png(np.stack([TWELVE] * 3, axis=2)))
    else:
        Image.fromarray(TWELVE).save(tmp_path / name)
    assert read_picture(tmp_path / name).doubt == DIM_DOUBT
    read_image(tmp_path / name)
    read_image(tmp_path / name)
    assert caplog.text.count(f"{name}: {DIM_DOUBT}") == 1


def sixteen_bit_png(levels: np.ndarray) -> bytes:
    """An RGB PNG of 16 bits, which Pillow does not write."""
    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_as_it_says(tmp_path: Path, bits: int, orientation: int) -> None:
    levels = GREY if bits == 8 else SIXTEEN
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "x.tif", levels, photometric="minisblack", extratags=[tag])
    upright = Image.fromarray(GREY)
    if orientation in ORIENTATIONS:
        upright = upright.transpose(ORIENTATIONS[orientation])
    assert (np.asarray(read_image(tmp_path / "x.tif"))[..., 0] == np.asarray(upright)).all()


def test_further_pages_are_counted_and_a_reduced_one_is_none(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(GREY[::4, ::4], photometric="minisblack", subfiletype=1)
        file.write(GREY, photometric="minisblack")
        file.write(GREY, photometric="minisblack")
    picture = read_picture(tmp_path / "x.tif")
    assert (picture.image.size, picture.pages) == ((30, 40), 2)
    tifffile.imwrite(tmp_path / "small.tif", GREY[::4, ::4], photometric="minisblack", subfiletype=1)
    with pytest.raises(ValueError, match="holds a reduced picture only"):
        read_picture(tmp_path / "small.tif")


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_compression_of_another_library_is_read_or_named(tmp_path: Path, depth: Any) -> None:
    Image.fromarray(GREY.astype(depth) * (257 if depth is np.uint16 else 1)).save(
        tmp_path / "x.tif", compression="tiff_lzw"
    )
    assert (np.asarray(read_image(tmp_path / "x.tif"))[..., 0] == GREY).all()


def test_long_texts_do_not_make_a_png_unreadable(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "history " * 400_000, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "x.png", pnginfo=info, exif=exif)
    assert read_image(tmp_path / "x.png").size == (40, 30)


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x.png cannot be .*: 1200 pixels are more than max_megapixels=0.001 allows"):
        read_image(tmp_path / "x.png", megapixels=0.001)


@pytest.mark.parametrize("ending", formats.image_extensions())
def test_every_ending_that_is_taken_for_an_image_is_read(tmp_path: Path, ending: str) -> None:
    if ending in formats.HEIF_EXTENSIONS:
        pytest.importorskip("pillow_heif")
    kind = next((name for name, endings in formats.FORMATS.items() if ending in endings), "HEIF")
    Image.fromarray(RGB).save(tmp_path / f"x{ending}", {"DIB": "BMP", "MPO": "JPEG"}.get(kind, kind))
    assert read_image(tmp_path / f"x{ending}").size == (30, 40)


def test_of_other_formats_no_decoder_is_started(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    with pytest.raises(ValueError, match="not an image that can be identified"):
        read_image(tmp_path / "x.jpg")
    Image.fromarray(GREY).save(tmp_path / "y.jpg", "GIF")
    with pytest.raises(ValueError, match="not an image that can be identified"):
        read_image(tmp_path / "y.jpg")


def test_heic_under_another_name_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (formats.heif_is_read, formats.image_extensions, formats.pillow_formats):
        each.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not there
    try:
        (tmp_path / "IMG_1.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
        with pytest.raises(ValueError, match=r"IMG_1.jpg cannot be .*: is HEIC, .*pip install pillow-heif"):
            read_image(tmp_path / "IMG_1.jpg")
        assert formats.is_unread_photograph("IMG_1.HEIC")
    finally:
        for each in (formats.heif_is_read, formats.image_extensions, formats.pillow_formats):
            each.cache_clear()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(ValueError, match=r"x.jpg cannot be .*: a named pipe, not a file"):
        read_image(tmp_path / "x.jpg")


def jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 40).convert("RGB").save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def test_a_run_of_zeros_in_a_jpeg_is_damage() -> None:
    from crack_lightning.data.images.scans import zero_run

    whole = jpeg()
    damaged = bytearray(whole)
    damaged[8000:8100] = bytes(100)
    assert zero_run(whole) == 0
    assert 100 <= zero_run(bytes(damaged)) <= 102
    assert zero_run(whole + bytes(5000)) == 0, "what a camera appends is no data"
    assert zero_run(b"\x89PNG" + bytes(5000)) == 0
    flat = io.BytesIO()
    Image.new("RGB", (3000, 2000), "white").save(flat, "JPEG", optimize=True)
    assert zero_run(flat.getvalue()) in (0, pytest.approx(30_000, rel=1)), "its own tables may give zeros"
    for progressive in (False, True):
        assert zero_run(jpeg(optimize=True, progressive=progressive)) == 0
