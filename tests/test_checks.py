import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from crack_lightning.data.images.checks import find_unreadable, unreadable_message


def truncated(path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-200])


def broken_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere.jpg")


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated JPEG": ("t.jpg", truncated, "truncated"),
    "truncated PNG": ("t.png", truncated, "truncated|broken"),
    "truncated WebP": ("t.webp", truncated, "decode|identified|truncated"),
    "truncated BMP": ("t.bmp", truncated, "truncated"),
    "truncated TIFF": ("t.tif", truncated, "truncated|decoder|-2"),
    "zero bytes": ("z.jpg", Path.touch, "empty"),
    "text": ("x.jpg", lambda path: path.write_text("no picture"), "not an image"),
    "folder": ("d.jpg", Path.mkdir, "a folder"),
    "broken link": ("l.jpg", broken_link, "broken link to .*nowhere.jpg"),
}


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("kind", BAD)
def test_every_kind_of_bad_file_is_found(tmp_path: Path, kind: str, decode: bool) -> None:
    name, make, expected = BAD[kind]
    make(tmp_path / name)
    found = find_unreadable([tmp_path / name], decode=decode)
    assert list(found) == [tmp_path / name]
    assert re.search(expected, found[tmp_path / name])


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"])
def test_good_files_of_every_format_pass(tmp_path: Path, name: str, decode: bool) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / name)
    assert find_unreadable([tmp_path / name], decode=decode) == {}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_what_a_camera_appends_is_no_fault(tmp_path: Path, name: str) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / name)
    with (tmp_path / name).open("ab") as file:
        file.write(b"vendor data " * 50)
    assert find_unreadable([tmp_path / name], decode=False) == {}


def test_a_png_called_jpg_is_readable(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.jpg", format="PNG")
    assert find_unreadable([tmp_path / "a.jpg"], decode=False) == {}


def test_one_message_names_all_files_and_both_remedies(tmp_path: Path) -> None:
    text = unreadable_message({tmp_path / f"{k}.jpg": "empty (0 bytes)" for k in range(60)})
    assert text.startswith("60 images cannot be read")
    assert "data.on_error=skip" in text
    assert f"{tmp_path}/49.jpg: empty" in text
    assert "and 10 more" in text
