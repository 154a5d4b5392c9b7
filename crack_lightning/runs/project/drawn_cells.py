"""Cells of drawn cracks, which hold what a head has learned when corrections teach it; kept between runs."""

import hashlib
import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from crack_lightning import __version__
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.features.cells import BATCH, Cells, of_lesson
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.system.cache import cache_folder, mark, touch
from crack_lightning.system.files import write_atomically

KIND, FILE = "lessons", "cells.npz"
LESSONS, SEED = 192, 5
MOST_CELLS = 30_000


@torch.no_grad()
def drawn_cells(network: CrackMap, cache_dir: str | None = None) -> Cells:
    """Cells of LESSONS drawn pictures by this backbone, their features less the mean of each picture.

    They take ten seconds the first time, and are read from the cache after that.
    """
    facts = repr((__version__, network.backbone, sorted(network.weights.items()), LESSONS, SEED))
    folder = cache_folder(cache_dir) / KIND / hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
    if (kept := _read(folder / FILE)) is not None:
        touch(folder)
        return kept
    cells, generator = list[Cells](), torch.Generator().manual_seed(SEED)
    for start in range(0, LESSONS, BATCH):
        drawn = [lesson(None, SEED, start + number) for number in range(BATCH)]
        pictures = torch.from_numpy(np.stack([np.asarray(each.image) for each in drawn])).permute(0, 3, 1, 2)
        maps = network.cells(pictures.to(network.pixel_mean.device)).cpu()
        for features, each in zip(maps, drawn, strict=True):
            cells.append(of_lesson(features - features.mean(dim=(1, 2), keepdim=True), each, generator))
    features, kinds, thin = (torch.cat([getattr(one, name) for one in cells]) for name in ("features", "kinds", "thin"))
    chosen = torch.randperm(len(kinds), generator=generator)[:MOST_CELLS]
    found = Cells(features[chosen], kinds[chosen], thin[chosen])
    mark(folder)
    file = io.BytesIO()
    np.savez(file, features=found.features.numpy(), kinds=found.kinds.numpy(), thin=found.thin.numpy())
    write_atomically(folder / FILE, file.getvalue())
    return found


def _read(path: Path) -> Cells | None:
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return Cells(*(torch.from_numpy(kept[name]) for name in ("features", "kinds", "thin")))
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):  # torn
        return None
