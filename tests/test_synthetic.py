import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.synthetic.concrete import Surface, fractal_noise, sound_surface
from crack_lightning.data.synthetic.crack_walks import cracked, draw_walks
from crack_lightning.data.synthetic.surface_folder import cached_surfaces, render_surface, write_surfaces

NAMES = ["Negative", "Positive"]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_a_surface_is_a_square_rgb_jpeg_from_its_seed() -> None:
    data = render_surface(seed=1, index=2, positive=True, size_px=100)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (100, 100))
    assert data == render_surface(seed=1, index=2, positive=True, size_px=100)
    for seed, index, positive in ((2, 2, True), (1, 3, True), (1, 2, False)):
        assert data != render_surface(seed=seed, index=index, positive=positive, size_px=100)


def test_neither_count_nor_processes_change_a_surface(tmp_path: Path) -> None:
    write_surfaces(tmp_path / "few", count=6, seed=0, size_px=32, class_names=NAMES)
    write_surfaces(tmp_path / "many", count=130, seed=0, size_px=32, class_names=NAMES, workers=2)
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    assert len(many) == 130
    assert sum(name.startswith("Positive") for name in many) == 65
    assert all(many[name] == data for name, data in few.items())


def test_a_crack_opens_the_surface_in_every_part() -> None:
    seen = np.zeros((3, 3))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sound = sound_surface(rng, 90)
        opening = cracked(rng, sound).opening
        assert opening.max() > 0.3
        assert (opening >= sound.opening).all()
        new = opening - sound.opening > 0.2
        seen += new.reshape(3, 30, 3, 30).any(axis=(1, 3))
    assert seen.min() > 12, "some ninth of the picture hardly ever has a crack"


def test_crack_widths_are_spread_from_hairlines_to_gaps() -> None:
    widths = [
        np.median(np.concatenate([w.width_px for w in draw_walks(np.random.default_rng(k), 227)])) for k in range(300)
    ]
    assert np.percentile(widths, 10) < 1.5
    assert 1.8 < np.median(widths) < 4.0
    assert np.percentile(widths, 95) > 6


def test_noise_is_standardised_and_falls_off_with_frequency() -> None:
    smooth, other = fractal_noise(np.random.default_rng(0), 128, slope=3.0)
    rough, _ = fractal_noise(np.random.default_rng(0), 128, slope=0.5)
    for field in (smooth, other, rough):
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.diff(smooth).std() < np.diff(rough).std() / 4
    assert abs(np.corrcoef(smooth.ravel(), other.ravel())[0, 1]) < 0.5


def test_surfaces_are_of_the_right_shapes() -> None:
    surface = sound_surface(np.random.default_rng(0), 50)
    assert isinstance(surface, Surface)
    assert (surface.height.shape, surface.colour.shape, surface.opening.shape) == ((50, 50), (3, 50, 50), (50, 50))
    assert surface.colour.min() > 0
    assert surface.opening.min() >= 0
    assert surface.opening.max() <= 1


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/photo.jpg").touch()
    with pytest.raises(FileExistsError, match="mine is there already"):
        write_surfaces(tmp_path / "mine", count=4, seed=0, size_px=32, class_names=NAMES)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "photo.jpg"]


@pytest.mark.parametrize(
    ("count", "size_px", "text"), [(1, 64, "count=1"), (4, 16, "size_px=16"), (4, 9999, "size_px")]
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, count: int, size_px: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        write_surfaces(tmp_path / "x", count=count, seed=0, size_px=size_px, class_names=NAMES)
    assert not list(tmp_path.iterdir())


def test_the_cache_is_drawn_once_and_again_when_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    request = {"count": 6, "seed": 0, "size_px": 32, "class_names": NAMES}
    folder = cached_surfaces(tmp_path, **request)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert cached_surfaces(tmp_path, **request) == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    next(iter(before)).unlink()
    assert len(files(cached_surfaces(tmp_path, **request))) == 6
    assert cached_surfaces(tmp_path, **request | {"seed": 1}) != folder
    assert not [path for path in (tmp_path / "synthetic").iterdir() if path.name.startswith(".")]


def test_an_interrupted_drawing_keeps_no_surface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no room is left"):
        cached_surfaces(tmp_path / "cache", count=6, seed=0, size_px=32, class_names=NAMES)
    assert [path.suffix for path in (tmp_path / "cache/synthetic").iterdir()] == [".lock"]
