"""Trains the shape correction of the package's map on scenes: structures and cracks, drawn (see package_map.py)."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crack_lightning.data.synthetic.lessons import Lesson
from crack_lightning.data.synthetic.scenes import SIDE, scene
from crack_lightning.engines.portable import MARGIN_PX
from crack_lightning.features.cells import kind_masks
from crack_lightning.inference.framing import Framed, scales_of
from crack_lightning.models.crack_map import CELL_PX, CrackMap, resized_to_first
from crack_lightning.models.shape_correction import HIDDEN, SCALES, ShapeCorrection, coarse_view, corrected_logits
from crack_lightning.system.processes import in_processes
from crack_lightning.system.progress import showing, track

log = logging.getLogger(__name__)

SEED, EPOCHS, BATCH, RATE, DECAY = 21, 5, 8, 3e-3, 1e-2
LOSS_SHARES = (0.2, 0.05, 0.55, 0.2)  # of the kinds of cells: crack, beside one, clutter, plain
SCALE_WEIGHTS = (1.0, 0.5, 0.25)  # of the loss at full, half and quarter size
LEVEL = 2.0  # logits above the median that are a probability of 0.5 in training
JITTER = 0.15  # deviation of the random factors of channels, so that no single one decides
SHARE = 0.35  # of what was learned that is used: more is better on close-ups and worse on structures
TILES_ACROSS = 18  # of a photograph of SDNET2018
BLOCK = 128  # scenes in memory at a time before their features are computed

Taps = list[list[Tensor]]  # by scale, by tap


class Canvases:
    """Surfaces that scenes are drawn onto: a third generated, a third patches, a third squares of four tiles."""

    def __init__(self, patches: Sequence[Path], tiles: Sequence[Path]) -> None:
        self.patches, self.blocks = patches, list(_blocks(tiles))
        log.info("%d sound patches, %d squares of four sound tiles", len(patches), len(self.blocks))

    def __call__(self, index: int) -> Image.Image | None:
        rng = np.random.default_rng([SEED, index])
        if index % 3 == 1 and self.patches:
            return _mirrored(Image.open(self.patches[int(rng.integers(len(self.patches)))]), rng)
        if index % 3 == 2 and self.blocks:
            return _square(self.blocks[int(rng.integers(len(self.blocks)))])
        return None


def _blocks(tiles: Sequence[Path]) -> Iterator[list[Path]]:
    """Yields groups of four tiles that are a square in their photograph; names are PHOTOGRAPH-NUMBER, row by row."""
    photographs = dict[str, dict[int, Path]]()
    for path in tiles:
        name, _, number = path.stem.partition("-")
        photographs.setdefault(f"{path.parents[1].name}/{name}", {})[int(number)] = path
    for members in photographs.values():
        for first in sorted(members):
            square = [first, first + 1, first + TILES_ACROSS, first + TILES_ACROSS + 1]
            if (first - 1) % TILES_ACROSS < TILES_ACROSS - 1 and all(other in members for other in square):
                yield [members[other] for other in square]


def _square(paths: Sequence[Path]) -> Image.Image:
    side, whole = SIDE // 2, Image.new("RGB", (SIDE, SIDE))
    for index, path in enumerate(paths):
        tile = Image.open(path).convert("RGB").resize((side, side))
        whole.paste(tile, (index % 2 * side, index // 2 * side))
    return whole


def _mirrored(patch: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Returns a square of SIDE from a patch at about its own size, mirrored beyond its edges."""
    size = round(patch.width * rng.choice([1.0, 1.0, rng.uniform(1, 1.6)]))
    pixels = np.asarray(patch.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
    pixels = np.pad(pixels, ((0, max(0, SIDE - size)),) * 2 + ((0, 0),), mode="symmetric")
    return Image.fromarray(pixels[:SIDE, :SIDE])


def drawn_scene(canvases: Canvases, index: int) -> Lesson:
    return scene(canvases(index), SEED, index)


def drawn_scenes(canvases: Canvases, first: int, count: int) -> Iterator[list[Lesson]]:
    """Yields scenes in blocks; all cores draw."""
    for start in track(range(first, first + count, BLOCK), "drawing scenes", total=-(-count // BLOCK), unit="blocks"):
        indices = range(start, min(start + BLOCK, first + count))
        with showing(False):
            yield in_processes(partial(drawn_scene, canvases), indices, "drawing", workers=None)


@torch.no_grad()
def taps_of(network: CrackMap, images: Sequence[Image.Image]) -> Taps:
    """Returns the maps of all taps at each scale, without the cells of the margin, as float16."""
    result = []
    for pictures in zip(*map(scales_of, images), strict=True):
        maps = network.tap_maps(torch.stack([_pixels(picture) for picture in pictures]))
        side = pictures[0].size_hw[0]
        result.append(
            [_cropped(part, max(tap.stride, CELL_PX), side) for tap, part in zip(network.taps, maps, strict=True)]
        )
    return result


def _pixels(picture: Framed) -> Tensor:
    return torch.from_numpy(np.array(picture.crop((0, 0, picture.width, picture.height)))).permute(2, 0, 1)


def _cropped(maps: Tensor, stride: int, side: int) -> Tensor:
    first, count = MARGIN_PX // stride, side // stride
    return maps[..., first : first + count, first : first + count].half()


def train_correction(network: CrackMap, canvases: Canvases, count: int) -> None:
    """Trains the correction of `network` on `count` scenes; its linear head stays as it is."""
    taps, kinds = _kept_taps(network, canvases, count)
    correction = network.correction
    if correction is None:
        raise ValueError("a map without a correction")
    correction.requires_grad_(True).train()
    _initialise(correction, taps[0])
    _fit(network, correction, taps, kinds)
    correction.requires_grad_(False).eval()
    for weights in correction.outputs.parameters():
        weights.mul_(SHARE)


def _kept_taps(network: CrackMap, canvases: Canvases, count: int) -> tuple[Taps, Tensor]:
    """Returns the maps of the taps of `count` scenes, and the kinds (count, 4, h, w) of their cells."""
    kept, kinds, first = list[list[Tensor]](), list[Tensor](), 0
    for block in drawn_scenes(canvases, 0, count):
        for start in range(0, len(block), BATCH):
            new = taps_of(network, [drawn.image for drawn in block[start : start + BATCH]])
            kept = kept or [[part.new_empty(count, *part.shape[1:]) for part in scale] for scale in new]
            for whole, part in zip(itertools.chain(*kept), itertools.chain(*new), strict=True):
                whole[first : first + len(part)] = part
            first += len(new[0][0])
        kinds += [torch.stack(kind_masks(drawn)) for drawn in block]
    return kept, torch.stack(kinds)


@torch.no_grad()
def _initialise(correction: ShapeCorrection, taps: Sequence[Tensor]) -> None:
    """Makes the projections random, scaled by the deviations of the features, and the corrections zero."""
    torch.manual_seed(0)
    deviation = torch.cat([part[:200].float().std(dim=(0, 2, 3)) for part in taps]) + 1e-3
    correction.projection.normal_().div_(deviation).mul_(2 / len(deviation) ** 0.5)
    for name, weights in correction.named_parameters():
        if name.startswith("blocks") and weights.ndim == 4:
            weights.normal_(0, 0.7 / (HIDDEN * 9) ** 0.5)
        elif name.startswith("carries") and weights.ndim == 4:
            weights.copy_(0.5 * torch.eye(HIDDEN)[:, :, None, None])
        elif name.startswith(("blocks", "carries", "outputs")):
            weights.zero_()


def _fit(network: CrackMap, correction: ShapeCorrection, taps: Taps, kinds: Tensor) -> None:
    count = len(kinds)
    optimizer = torch.optim.AdamW(correction.parameters(), RATE, weight_decay=DECAY)
    steps = EPOCHS * (count // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for epoch in track(range(EPOCHS), "training", total=EPOCHS, unit="epochs"):
        total = 0.0
        for rows in torch.randperm(count).split(BATCH)[: count // BATCH]:
            loss = _loss(network, correction, [[part[rows].float() for part in scale] for scale in taps], kinds[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(correction.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        log.info("epoch %d of %d: loss %.4f", epoch + 1, EPOCHS, total / (count // BATCH))


def _loss(network: CrackMap, correction: ShapeCorrection, taps: Taps, kinds: Tensor) -> Tensor:
    maps = [_maps_of(network, correction, part) for part in taps]
    quarter, half, fine = _logits_of_scales(maps, correction)
    loss = torch.zeros(())
    for logits, weight, factor in zip((fine, half, quarter), SCALE_WEIGHTS, SCALES, strict=True):
        above = logits - logits.flatten(1).median(dim=1).values[:, None, None] - LEVEL
        for kind, (mask, share) in enumerate(zip(_coarser(kinds, factor).unbind(1), LOSS_SHARES, strict=True)):
            wrong = functional.softplus(-above if kind == 0 else above)
            loss = loss + weight * share * (wrong * mask).sum() / mask.sum().clamp(min=1)
    return loss


def _maps_of(network: CrackMap, correction: ShapeCorrection, taps: Sequence[Tensor]) -> Tensor:
    """Returns the logits of the linear head and the projections (N, 1 + HIDDEN, h, w), of features with random factors.

    The factors are put on the weights, a set for each picture, since the features are far larger.
    """
    maps = list[Tensor]()
    for part, linear, rows in zip(
        taps, network.split(network.weight[None]), network.split(correction.projection), strict=True
    ):
        factors = 1 + JITTER * torch.randn(len(part), 1, part.shape[1])
        weights = torch.cat([linear.flatten(1).expand(len(part), 1, -1), rows.flatten(1) * factors], dim=1)
        made = torch.bmm(weights, part.flatten(2)).unflatten(2, part.shape[2:])
        if maps and maps[-1].shape == made.shape:  # two taps of one size are enlarged once
            maps[-1] = maps[-1] + made
        else:
            maps.append(made)
    return torch.stack(resized_to_first(maps)).sum(dim=0)


def _logits_of_scales(maps: Sequence[Tensor], correction: ShapeCorrection) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the logits (N, h, w) of each scale, joined with the coarser ones: of quarter, half and full size."""
    fine, half, quarter = maps
    added, _ = correction(quarter[:, 1:] - quarter[:, 1:].mean(dim=(2, 3), keepdim=True), 2, None)
    coarse = coarse_view(half, quarter, correction)
    return (quarter[:, :1] + added)[:, 0], coarse.logits[:, 0], corrected_logits(fine, coarse, correction)[0]


def _coarser(kinds: Tensor, factor: int) -> Tensor:
    """Returns masks (N, 4, h, w) of the kinds of cells `factor` times as large; a crack counts before the rest."""
    kinds = kinds.float()
    if factor == 1:
        return kinds
    crack, beside, clutter = (functional.max_pool2d(kinds[:, [kind]], factor) for kind in range(3))
    beside = beside * (crack == 0)
    clutter = clutter * (crack == 0) * (beside == 0)
    plain = (functional.avg_pool2d(kinds[:, 3:], factor) > 0.9).float()
    return torch.cat([crack, beside, clutter, plain], dim=1)
