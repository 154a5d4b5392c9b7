"""Writes synthetic photographs into class folders."""

import hashlib
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from crack_lightning.data.synthetic.camera import jpeg_bytes, photograph
from crack_lightning.data.synthetic.concrete import sound_surface
from crack_lightning.data.synthetic.crack_walks import cracked
from crack_lightning.errors import UserError
from crack_lightning.system.cache import is_marked, mark_folder
from crack_lightning.system.files import full_message, is_full
from crack_lightning.system.processes import closing_pool, map_in_pool, process_pool
from crack_lightning.system.progress import track
from crack_lightning.system.ranges import absolute_path, check_workers

log = logging.getLogger(__name__)

SIZES_PX = range(32, 2049)
MAX_ALONE = 128  # one process draws up to this many before further ones have started
VERSION = 1  # part of the cache's key: raise it with every change that draws other pixels


@dataclass
class GenerateOptions:
    """The options of `generate`, which draws surfaces into class folders; those of the last class are cracked."""

    out: str
    count: int = 1200
    seed: int = 0
    size_px: int = 227  # the side of a METU patch
    # the last one is drawn with cracks
    class_names: list[str] = field(default_factory=lambda: ["Negative", "Positive"])
    num_workers: int | None = None  # null: one a core

    def __post_init__(self) -> None:
        check_workers(self.num_workers)
        self.out = str(absolute_path(self.out))


def generate_surfaces(options: GenerateOptions, folder: Path) -> None:
    """Draws `count` surfaces into `out`, which must be new or empty; nothing is written into `folder`."""
    target = Path(options.out)
    write_surfaces(
        target,
        count=options.count,
        seed=options.seed,
        size_px=options.size_px,
        class_names=options.class_names,
        workers=options.num_workers,
    )
    log.info("%d surfaces: %s", options.count, target)


def write_surfaces(
    folder: Path,
    *,
    count: int,
    seed: int,
    size_px: int,
    class_names: Sequence[str],
    workers: int | None = None,
    kept: bool = False,
) -> None:
    """Draws `count` photographs into `folder/<class>/000000.jpg`, the classes in turn, the last class with cracks.

    `folder` appears only when it is complete. The number of processes, `workers` (default: one per core), does not
    change the result. `kept` says that the folder belongs to the cache, from which it may be removed.

    Raises FileExistsError if `folder` exists and is not empty, ValueError for an invalid number or class name.
    """
    _check_request(count=count, seed=seed, size_px=size_px, class_names=class_names, workers=workers)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already: name another folder or delete this one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        if kept:
            mark_folder(unfinished)
        for name in class_names:
            (unfinished / name).mkdir()
        draw = partial(_draw, folder=unfinished, seed=seed, size_px=size_px, class_names=tuple(class_names))
        for _ in track(_draw_all(draw, count, workers), "drawing surfaces", total=count):
            pass
        unfinished.chmod(0o755)  # mkdtemp makes it private
        unfinished.replace(folder)
    except OSError as error:
        if is_full(error):
            raise OSError(error.errno, full_message(folder.parent), str(folder)) from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def cached_surfaces(
    cache: Path,
    *,
    count: int,
    seed: int,
    size_px: int,
    class_names: Sequence[str],
    workers: int | None = None,
) -> Path:
    """Returns the folder in `cache` that holds exactly these surfaces; draws them first if it is missing."""
    request = {
        "version": VERSION,
        "count": count,
        "seed": seed,
        "size_px": size_px,
        "classes": list(class_names),
    }
    key = hashlib.sha256(json.dumps(request).encode()).hexdigest()[:12]
    folder = cache / "synthetic" / f"{count}-surfaces-{key}"
    if _is_complete(folder, count):  # this case needs neither a lock nor a writable cache
        log.info("synthetic surfaces: %s", folder)
        return folder
    _create_folder(folder.parent)
    with FileLock(folder.with_name(f"{folder.name}.lock")):  # of the runs that start together, only one draws
        if _is_complete(folder, count):
            return folder
        for leftover in [folder, *folder.parent.glob(f".{folder.name}-*")]:
            if is_marked(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
        log.info("drawing %d synthetic surfaces into %s", count, folder)
        options = {"class_names": class_names, "workers": workers, "kept": True}
        write_surfaces(folder, count=count, seed=seed, size_px=size_px, **options)  # type: ignore[arg-type]
    return folder


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{folder} cannot be created ({error.strerror}): give another cache_dir=FOLDER") from error


def _is_complete(folder: Path, count: int) -> bool:
    return sum(1 for _ in folder.glob("*/*.jpg")) == count


def _check_request(*, count: int, seed: int, size_px: int, class_names: Sequence[str], workers: int | None) -> None:
    if len(class_names) != 2 or class_names[0] == class_names[1]:
        raise UserError(f"class_names={list(class_names)}: two different names are needed, sound and cracked")
    for name in class_names:
        if Path(name).name != name or name.startswith("."):
            raise UserError(f"class_names={list(class_names)}: {name!r} is not valid as the name of a folder")
    if count < len(class_names):
        raise UserError(f"count={count}: must be at least {len(class_names)}, one surface per class")
    if seed < 0:
        raise UserError(f"seed={seed}: must be 0 or more")
    if workers is not None and workers < 1:
        raise UserError(f"num_workers={workers}: must be at least 1, or null for one per core")
    if size_px not in SIZES_PX:
        raise UserError(f"size_px={size_px}: must be from {SIZES_PX[0]} to {SIZES_PX[-1]} pixels")


def _draw_all(draw: Callable[[int], None], count: int, workers: int | None) -> Iterator[None]:
    workers = 1 if count <= MAX_ALONE else workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(draw, range(count))
        return
    # Not fork: PyTorch's threads may be running in this process.
    with closing_pool(process_pool(workers, "spawn")) as pool:
        yield from map_in_pool(pool, draw, range(count))


def _draw(index: int, *, folder: Path, seed: int, size_px: int, class_names: tuple[str, ...]) -> None:
    label = index % len(class_names)
    positive = label == len(class_names) - 1
    jpeg = render_surface(seed=seed, index=index, positive=positive, size_px=size_px)
    (folder / class_names[label] / f"{index:06d}.jpg").write_bytes(jpeg)


def render_surface(*, seed: int, index: int, positive: bool, size_px: int) -> bytes:
    """Returns the JPEG bytes of a square RGB photograph of concrete, with a crack if `positive`.

    Surface `index` is the same however many surfaces are drawn and whichever process draws it.
    """
    rng = np.random.default_rng([seed, index, int(positive)])
    surface = sound_surface(rng, size_px)
    if positive:
        surface = cracked(rng, surface)
    return jpeg_bytes(rng, photograph(rng, surface))


def surface_image(*, seed: int, index: int, positive: bool, size_px: int) -> Image.Image:
    """Returns the RGB picture whose bytes `render_surface` returns."""
    content = render_surface(seed=seed, index=index, positive=positive, size_px=size_px)
    return Image.open(io.BytesIO(content), formats=["JPEG"])
