"""The crack map of a patch as one number: how crack-like its best straight stretches are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from crack_lightning.data.images.reading import MOST_MEGAPIXELS, read_picture
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patches import in_threads, one_core_each
from crack_lightning.inference.photographs import Scale
from crack_lightning.inference.stretches import best_stretch
from crack_lightning.system.processes import cores
from crack_lightning.system.progress import track

STRETCH_CELLS = 21
BEST = 100  # stretches that count
CLAMPED = (-4.0, 6.0)  # log-odds: a single cell must not decide


def patch_score(logits: Tensor) -> float:
    """Mean of the BEST straight stretches of STRETCH_CELLS cells of the map (h, w), above its median, in log-odds."""
    best = best_stretch((logits - logits.median()).clamp(*CLAMPED), STRETCH_CELLS).flatten()
    return float(best.topk(min(BEST, len(best))).values.mean())


@dataclass(frozen=True)
class FileScores:
    """Of N files: `probabilities` that they show a crack; the rest as in FileLogits."""

    probabilities: Sequence[float]
    errors: Sequence[str]
    doubts: Sequence[str]
    sides_px: Sequence[int]


def score_files(
    reader: CrackMapReader,
    paths: Sequence[Path],
    *,
    num_workers: int | None = None,
    megapixels: float = MOST_MEGAPIXELS,
) -> FileScores:
    """What the crack map says of the files, in their order, by `num_workers` threads; None is one a core."""

    def one(path: Path) -> tuple[float, str, str, int]:
        try:
            picture = read_picture(path, megapixels=megapixels)
            return patch_probability(reader, picture.image), "", picture.doubt, max(picture.image.size)
        except Exception as error:  # whatever it is, it is of this file
            return math.nan, str(error) or type(error).__name__, "", 0

    with one_core_each():
        found = list(track(in_threads(one, paths, num_workers or cores()), "predicting", total=len(paths)))
    probabilities, errors, doubts, sides_px = zip(*found, strict=True) if found else ((), (), (), ())
    return FileScores(probabilities, errors, doubts, sides_px)


def patch_probability(reader: CrackMapReader, image: Image.Image) -> float:
    """The probability that an upright RGB patch shows a crack."""
    odds = patch_odds(reader, image) / reader.classifier.decision.temperature
    return 1 / (1 + math.exp(-odds))


def patch_odds(reader: CrackMapReader, image: Image.Image) -> float:
    """The log-odds that an upright RGB patch shows a crack, before the temperature."""
    network = reader.classifier
    rows = reader.rows(reader.scaled(image, Scale(max(image.size))))
    odds = (patch_score(rows[0] + network.bias.item()) - network.patch_level) / network.patch_scale
    return odds if network.patch_weight is None else odds + float(rows[1].mean())
