"""Classifies patches by their crack maps: the score shows how crack-like their best straight stretches are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.images.reading import MOST_MEGAPIXELS, Picture
from crack_lightning.inference.crack_maps import CrackMapReader, Prepared
from crack_lightning.inference.framing import Framed, without_margin
from crack_lightning.inference.patches import FileLogits, Judging, file_by_file, judge_files
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.inference.stretches import best_stretch
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CrackMap, Network

STRETCH_CELLS = 21  # cells in a stretch
BEST_STRETCHES = 100  # number of stretches that count
ODDS_RANGE = (-4.0, 6.0)  # limits of each cell's log-odds, so that no single cell decides


def patch_score(logits: Tensor) -> float:
    """Returns the mean log-odds, less the map's median, of the BEST_STRETCHES best straight stretches."""
    best = best_stretch((logits - logits.median()).clamp(*ODDS_RANGE), STRETCH_CELLS).flatten()
    return float(best.topk(min(BEST_STRETCHES, len(best))).values.mean())


def judge_patches(network: Network, paths: Sequence[Path | Picture], judging: Judging) -> FileLogits:
    """Returns the logits of the files, in order, by a classifier, or by a crack map, which takes one file at a time."""
    if isinstance(network, CrackClassifier):
        return judge_files(network, paths, judging)
    reader = CrackMapReader(network.to(judging.device), engine=judging.engine, patches=True)
    return map_logits(reader, paths, num_workers=judging.num_workers, megapixels=judging.megapixels)


def map_logits(
    reader: CrackMapReader,
    paths: Sequence[Path | Picture],
    *,
    num_workers: int | None = None,
    megapixels: float = MOST_MEGAPIXELS,
) -> FileLogits:
    """Returns the logits of the files by a reader made for `patches`; None for `num_workers` is one thread per core."""

    def logits(image: Image.Image) -> Tensor:
        row = torch.zeros(2)
        row[reader.classifier.decision.positive_index] = patch_odds(reader, image)
        return row

    return file_by_file(logits, paths, num_workers=num_workers, megapixels=megapixels)


def patch_odds(reader: CrackMapReader, image: Image.Image) -> float:
    """Returns the log-odds that an upright RGB patch shows a crack, before the temperature."""
    return _odds(reader.classifier, reader.logits(prepared_patch(reader, image)))


def patch_map(reader: CrackMapReader, image: Image.Image) -> tuple[np.ndarray, float]:
    """Returns the log-odds of each cell (h/4, w/4) above `patch_level`, and the patch's probability of a crack."""
    network, logits = reader.classifier, reader.logits(prepared_patch(reader, image))
    above = (logits - logits.median()).clamp(*ODDS_RANGE) - network.patch_level
    odds = _odds(network, logits) / network.decision.temperature
    return above.numpy(), float(torch.tensor(odds).sigmoid())


def _odds(network: CrackMap, logits: Tensor) -> float:
    return (patch_score(logits) - network.patch_level) / network.patch_scale


def prepared_patch(reader: CrackMapReader, image: Image.Image) -> Prepared:
    """Prepares an upright RGB patch for the network."""
    return reader.scaled(image, WindowScale(max(image.size)))


def score_and_slope(network: CrackMap, prepared: Prepared) -> tuple[float, Tensor]:
    """Returns a patch's score and its slope (channels,): how the score changes with each of the head's weights.

    The slope is the mean features of the best stretches less those of the whole patch. It predicts the score by a
    similar head, since the logits are linear in the weights.
    """
    weight = network.patch_weight.clone().requires_grad_()
    logits = logits_by(network, weight, prepared)
    (slope,) = torch.autograd.grad(best_above_mean(logits), weight)
    return patch_score(logits.detach() + network.bias), slope.cpu()


def logits_by(network: CrackMap, weight: Tensor, prepared: Prepared) -> Tensor:
    """Returns the map (h/4, w/4) of a head with `weight` (channels,) and no bias; gradients reach the weight."""
    rows = network.rows(weight)
    maps = [
        without_margin(network(picture_tensor(picture, weight.device), rows), picture) for picture in prepared.pictures
    ]
    return network.corrected_logits(maps)[0] - network.bias


def best_above_mean(logits: Tensor) -> Tensor:
    """Returns a `patch_score` without limits, less the mean: a median would give one cell the whole slope."""
    best = best_stretch(logits - logits.mean(), STRETCH_CELLS).flatten()
    return best.topk(min(BEST_STRETCHES, len(best))).values.mean()


def picture_tensor(picture: Framed, device: torch.device) -> Tensor:
    """Returns a framed RGB picture, margin included, as (1, 3, h, w) uint8."""
    whole = picture.crop((0, 0, picture.width, picture.height))
    return torch.from_numpy(np.array(whole)).permute(2, 0, 1)[None].to(device)
