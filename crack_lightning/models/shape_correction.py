"""Joins the maps of three scales of a photograph, and corrects them by a small network that sees lines and structures.

The linear head gives each cell a logit by what the backbone sees around it; it knows nothing of the line that the cell
belongs to. The shape correction reads a few projections of the same features at all scales, with a field of view of 480
pixels, and adds to the logits. Without a correction, the logits of the scales are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALES = (1, 2, 4)  # factors by which a photograph is reduced before the backbone sees it
# Share of the own logits of full and half size; the remainder is that of the next coarser scale, which is joined.
OWN_SHARES = (0.7, 0.8)
# Margin in log-odds by which half and quarter size must both exceed the level, to mark where full size does not: a gap
# too wide for it shows there. On half of the photographs 0.25 was better than 0.75, and than either size alone.
COARSER_MARGIN = 0.25
HIDDEN = 16  # maps into which the features of a cell are projected
DILATIONS = (1, 2, 4)
REACH_CELLS = sum(DILATIONS) + 1  # how far a cell depends on other cells of its scale, enlarging included


@dataclass(frozen=True)
class CoarseView:
    """Holds what half and quarter size say about a photograph.

    `logits` (N, 1, h/8, w/8) are of both, `coarsest` (N, 1, h/16, w/16) of quarter size alone. For the correction,
    `hidden` are maps (N, HIDDEN, h/8, w/8), and `shift` (N, HIDDEN, 1, 1) centres the projections at half size.
    """

    logits: Tensor
    coarsest: Tensor
    hidden: Tensor | None
    shift: Tensor | None

    def cut(self, rows: slice) -> "CoarseView":
        """Returns the view without the coarsest logits for some rows of the photograph, in cells of half size."""
        hidden = None if self.hidden is None else self.hidden[..., rows, :]
        return replace(self, logits=self.logits[..., rows, :], hidden=hidden)


class ShapeCorrection(nn.Module):
    """Corrects logits at three scales by projections of the features, and by what coarser scales saw.

    `projection` (HIDDEN, channels) projects the joined features of a cell. Projections are taken less their mean over
    the photograph, so that light and texture of a surface do not count. `forward` takes the centred projections
    (N, HIDDEN, h, w) of the scale with an index into SCALES, and the enlarged hidden maps of the coarser one, if any.
    It returns corrections (N, 1, h, w) and the hidden maps (N, HIDDEN, h, w).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.zeros(HIDDEN, channels))
        self.offsets = nn.Parameter(torch.zeros(len(SCALES), HIDDEN))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(HIDDEN, HIDDEN, 3, dilation=dilation) for dilation in DILATIONS)) for _ in SCALES
        )
        self.carries = nn.ModuleList(nn.Conv2d(HIDDEN, HIDDEN, 1) for _ in SCALES[1:])
        self.outputs = nn.ModuleList(nn.Conv2d(HIDDEN, 1, 1) for _ in SCALES)

    def forward(self, centred: Tensor, scale: int, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        maps = functional.relu(centred + self.offsets[scale][:, None, None])
        if coarser is not None:
            maps = maps + self.carries[scale](coarser)
        for layer, dilation in zip(self.blocks[scale].children(), DILATIONS, strict=True):
            maps = maps + functional.relu(layer(_repeated_edges(maps, dilation)))
        return self.outputs[scale](maps), maps


def coarse_view(half: Tensor, quarter: Tensor, correction: ShapeCorrection | None) -> CoarseView:
    """Returns the view of a photograph from its maps (N, 1 + HIDDEN, h, w) at half and at quarter size.

    The first map has the logits of the linear head, the others are projections, which are missing without a
    `correction`.
    """
    if correction is None:
        coarsest = _logits(quarter)
        return CoarseView(_joined(1, _logits(half), enlarged(coarsest, half)), coarsest, None, None)
    added, hidden = correction(_projected(quarter) + _shift(_projected(quarter)), 2, None)
    coarsest = _logits(quarter) + added
    larger = enlarged(torch.cat([coarsest, hidden], dim=1), half)
    shift = _shift(_projected(half))
    added, hidden = correction(_projected(half) + shift, 1, _projected(larger))
    return CoarseView(_joined(1, _logits(half) + added, _logits(larger)), coarsest, hidden, shift)


def corrected_logits(
    fine: Tensor, coarse: CoarseView, correction: ShapeCorrection | None
) -> tuple[Tensor, Tensor | None]:
    """Returns the logits (N, h, w) of a photograph, or of a part, from its maps (N, 1 + HIDDEN, h, w) at full size.

    Also returns the hidden maps (N, 2 * HIDDEN, h, w) at full and at half size, None without a correction.
    """
    if correction is None or coarse.shift is None or coarse.hidden is None:
        return _joined(0, _logits(fine), enlarged(coarse.logits, fine))[:, 0], None
    larger = enlarged(torch.cat([coarse.logits, coarse.hidden], dim=1), fine)
    added, hidden = correction(_projected(fine) + coarse.shift, 0, _projected(larger))
    logits = _joined(0, _logits(fine) + added, _logits(larger))[:, 0]
    return logits, torch.cat([hidden, _projected(larger)], dim=1)


def joined(maps: Sequence[Tensor]) -> Tensor:
    """Joins maps (..., h, w) of the three scales, the finest first, as the logits of the linear head are joined."""
    fine, half, quarter = maps
    return _joined(0, fine, enlarged(_joined(1, half, enlarged(quarter, half)), fine))


def _joined(scale: int, own: Tensor, coarser: Tensor) -> Tensor:
    return OWN_SHARES[scale] * own + (1 - OWN_SHARES[scale]) * coarser


# OpenVINO replaces slices, subtractions and layers for padding by others, which lose the mark that they are computed
# with 32 bits: the following functions do without.


def _logits(maps: Tensor) -> Tensor:
    return maps.index_select(1, torch.zeros(1, dtype=torch.int64, device=maps.device))


def _projected(maps: Tensor) -> Tensor:
    return maps.index_select(1, torch.arange(1, maps.shape[1], device=maps.device))


def _shift(projected: Tensor) -> Tensor:
    """Returns what centres projections (N, HIDDEN, h, w) when it is added."""
    return (projected * -1.0).mean(dim=(2, 3), keepdim=True)


def _repeated_edges(maps: Tensor, width: int) -> Tensor:
    """Repeats the outermost cells of maps (N, c, h, w) `width` times."""
    if maps.requires_grad:  # in training, where a layer for padding is four times as fast
        return functional.pad(maps, (width,) * 4, mode="replicate")
    for axis in (2, 3):
        count = maps.shape[axis]
        indices = torch.arange(-width, count + width, device=maps.device).clamp(0, count - 1)
        maps = maps.index_select(axis, indices)
    return maps


def enlarged(coarse: Tensor, fine: Tensor) -> Tensor:
    """Enlarges maps (..., h, w) to twice their size, and cuts them to the size of `fine`."""
    flat = coarse.reshape(1, -1, *coarse.shape[-2:])
    size = 2 * coarse.shape[-2], 2 * coarse.shape[-1]
    larger = functional.interpolate(flat, size, mode="bilinear", align_corners=False)
    for axis in (2, 3):  # a slice would make exporters check its length
        larger = larger.index_select(axis, torch.arange(fine.shape[axis - 4], device=larger.device))
    return larger.reshape(*coarse.shape[:-2], *fine.shape[-2:])
