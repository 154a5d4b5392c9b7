"""Computes the cells of synthetic cracks, cached for all runs.

A head trains on them beside corrections, so that it does not forget what it has learned. A lesson is a synthetic
training picture.
"""

import hashlib
import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from crack_lightning import __version__
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.features.cells import Cells, sample_cells
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.system.cache import cache_folder, mark_folder, touch
from crack_lightning.system.files import write_atomically

CACHE_KIND, CELLS_FILE = "lessons", "cells.npz"
PICTURE_COUNT, SEED = 192, 5


def synthetic_cells(network: CrackMap, cache_dir: str | None = None) -> Cells:
    """Returns the cells of PICTURE_COUNT synthetic pictures, their features less each picture's mean.

    This backbone computes them in ten seconds the first time; later they are read from the cache.
    """
    facts = repr((__version__, network.backbone, sorted(network.weights.items()), PICTURE_COUNT, SEED))
    folder = cache_folder(cache_dir) / CACHE_KIND / hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
    if (kept := _read(folder / CELLS_FILE)) is not None:
        touch(folder)
        return kept
    generator = torch.Generator().manual_seed(SEED)
    lessons = (lesson(None, SEED, number) for number in range(PICTURE_COUNT))
    cells = sample_cells(network, lessons, generator, centred=True)
    mark_folder(folder)
    buffer = io.BytesIO()
    np.savez(buffer, features=cells.features.numpy(), kinds=cells.kinds.numpy(), thin=cells.thin.numpy())
    write_atomically(folder / CELLS_FILE, buffer.getvalue())
    return cells


def _read(path: Path) -> Cells | None:
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return Cells(*(torch.from_numpy(kept[name]) for name in ("features", "kinds", "thin")))
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):  # the file is missing, or was not written to its end
        return None
