"""The crack map of a patch as one number, how crack-like its best straight stretches are, and what it says of files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.images.reading import MOST_MEGAPIXELS
from crack_lightning.inference.crack_maps import CrackMapReader, Prepared, merged_scales
from crack_lightning.inference.patches import FileLogits, Judging, file_by_file, judge_files
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.inference.stretches import best_stretch
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CrackMap, Network

STRETCH_CELLS = 21
BEST = 100  # stretches that count
CLAMPED = (-4.0, 6.0)  # log-odds: a single cell must not decide


def patch_score(logits: Tensor) -> float:
    """Mean of the BEST straight stretches of STRETCH_CELLS cells of the map (h, w), above its median, in log-odds."""
    best = best_stretch((logits - logits.median()).clamp(*CLAMPED), STRETCH_CELLS).flatten()
    return float(best.topk(min(BEST, len(best))).values.mean())


def judge_patches(network: Network, paths: Sequence[Path], judging: Judging) -> FileLogits:
    """What a classifier or a crack map says of the files, in their order. A crack map takes one at a time."""
    if isinstance(network, CrackClassifier):
        return judge_files(network, paths, judging)
    reader = CrackMapReader(network.to(judging.device), engine=judging.engine, patches=True)
    return map_logits(reader, paths, num_workers=judging.num_workers, megapixels=judging.megapixels)


def map_logits(
    reader: CrackMapReader,
    paths: Sequence[Path],
    *,
    num_workers: int | None = None,
    megapixels: float = MOST_MEGAPIXELS,
) -> FileLogits:
    """What a crack map, read for `patches`, says of the files, by `num_workers` threads; None is one a core."""

    def logits(image: Image.Image) -> Tensor:
        found = torch.zeros(2)
        found[reader.classifier.decision.positive_index] = patch_odds(reader, image)
        return found

    return file_by_file(logits, paths, num_workers=num_workers, megapixels=megapixels)


def patch_odds(reader: CrackMapReader, image: Image.Image) -> float:
    """The log-odds that an upright RGB patch shows a crack, before the temperature."""
    return _odds(reader.classifier, reader.logits(prepared_patch(reader, image)))


def patch_map(reader: CrackMapReader, image: Image.Image) -> tuple[np.ndarray, float]:
    """How far each cell (h/4, w/4) lies above the level that a patch needs, in log-odds, and the probability."""
    network, logits = reader.classifier, reader.logits(prepared_patch(reader, image))
    above = (logits - logits.median()).clamp(*CLAMPED) - network.patch_level
    odds = _odds(network, logits) / network.decision.temperature
    return above.numpy(), float(torch.tensor(odds).sigmoid())


def _odds(network: CrackMap, logits: Tensor) -> float:
    return (patch_score(logits) - network.patch_level) / network.patch_scale


def prepared_patch(reader: CrackMapReader, image: Image.Image) -> Prepared:
    """An upright RGB patch, ready for the network."""
    return reader.scaled(image, WindowScale(max(image.size)))


def score_and_slope(network: CrackMap, prepared: Prepared) -> tuple[float, Tensor]:
    """The score of a patch, and how it changes with each of the head's weights (channels,).

    Since the logits are linear in the weights, this says what a head near by would score: the mean features of the
    best stretches less those of the whole patch.
    """
    weight = network.patch_weight.clone().requires_grad_()
    logits = logits_by(network, weight, prepared)
    (slope,) = torch.autograd.grad(best_above_mean(logits), weight)
    return patch_score(logits.detach() + network.bias), slope.cpu()


def logits_by(network: CrackMap, weight: Tensor, prepared: Prepared) -> Tensor:
    """The map (h/4, w/4) of a head of `weight` (channels,), without its bias; gradients reach the weight."""
    taps = network.tap_weights(weight)
    framed = [each.crop((0, 0, each.width, each.height)) for each in prepared.pictures]
    maps = [network.logits_by(taps, picture_tensor(each, weight.device))[0] for each in framed]
    return merged_scales(maps, prepared.size_hw)


def best_above_mean(logits: Tensor) -> Tensor:
    """As `patch_score`, but not clamped and above the mean: of a median, one cell would have all of the slope."""
    best = best_stretch(logits - logits.mean(), STRETCH_CELLS).flatten()
    return best.topk(min(BEST, len(best))).values.mean()


def picture_tensor(image: Image.Image, device: torch.device) -> Tensor:
    """An RGB picture as (1, 3, h, w) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(device)
