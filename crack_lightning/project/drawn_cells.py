"""Computes cells of drawn cracks, once for all runs: they keep what a head has learned while corrections train it."""

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
from crack_lightning.system.cache import cache_folder, mark, touch
from crack_lightning.system.files import write_atomically

KIND, FILE = "lessons", "cells.npz"
LESSONS, SEED = 192, 5


def drawn_cells(network: CrackMap, cache_dir: str | None = None) -> Cells:
    """Returns cells of LESSONS drawn pictures by this backbone, their features less the mean of each picture.

    They take ten seconds the first time, and are read from the cache after that.
    """
    facts = repr((__version__, network.backbone, sorted(network.weights.items()), LESSONS, SEED))
    folder = cache_folder(cache_dir) / KIND / hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
    if (kept := _read(folder / FILE)) is not None:
        touch(folder)
        return kept
    generator = torch.Generator().manual_seed(SEED)
    lessons = (lesson(None, SEED, number) for number in range(LESSONS))
    cells = sample_cells(network, lessons, generator, centred=True)
    mark(folder)
    buffer = io.BytesIO()
    np.savez(buffer, features=cells.features.numpy(), kinds=cells.kinds.numpy(), thin=cells.thin.numpy())
    write_atomically(folder / FILE, buffer.getvalue())
    return cells


def _read(path: Path) -> Cells | None:
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return Cells(*(torch.from_numpy(kept[name]) for name in ("features", "kinds", "thin")))
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):  # a torn file
        return None
