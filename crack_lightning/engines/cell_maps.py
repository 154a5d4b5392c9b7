"""Computes a crack map one part of its backbone at a time, in tiles, so that photographs of any size fit in memory.

The head sums a contribution of each tap, a layer of the backbone that it reads. A part outputs one map, as a part of a
classifier does: its features and, in further channels, the sums of the taps so far. The sums have one channel at their
own stride; `pixel_unshuffle` folds them to the stride that the part has reached.

A backbone that cannot be cut is a single part, whose tiles see REACH_PX beyond their edges.
"""

import copy
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from crack_lightning.engines.engine_names import check_engine
from crack_lightning.engines.folded import Pixels, fold_batchnorms
from crack_lightning.engines.maps import LogitMapper, compared_mapper
from crack_lightning.engines.parts import PARTS, Part
from crack_lightning.engines.pick import auto_engine
from crack_lightning.models.crack_map import CELL_PX, CrackMap

SAMPLE_HW = (96, 160)  # height and width of the random picture on which engines are compared
# Stride, reach and memory for an input pixel (see Part) of the single part of a backbone that cannot be cut.
STRIDE_PX, REACH_PX, CELL_BYTES = 32, 128, 400


class TappedPart(nn.Module):
    """The layers of one part: (N, channels + sums, h, w) to (N, channels' + sums', h', w').

    The input has `channels` features, followed by the sums of earlier parts. This part folds those to its own `stride`
    and appends its own sum. The `last` part drops its features, which no part needs any more.
    """

    def __init__(
        self, blocks: Sequence[nn.Module], heads: Sequence[Tensor], *, channels: int, stride: int, last: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)  # each block ends with a tap
        self.channels, self.stride, self.last = channels, stride, last
        for index, weight in enumerate(heads):
            self.register_buffer(f"head_{index}", weight)

    def forward(self, inputs: Tensor) -> Tensor:
        maps, earlier_sums = inputs[:, : self.channels], inputs[:, self.channels :]
        sums: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            sums.append(functional.conv2d(maps, self.get_buffer(f"head_{index}")))
        width = sums[-1].shape[-1]
        # In a part that ends at stride 4, a tap at stride 2 is averaged over 2 x 2 cells, as in CrackMap.
        sums = [tap if tap.shape[-1] == width else functional.avg_pool2d(tap, 2) for tap in sums]
        folded_sums = [functional.pixel_unshuffle(earlier_sums, self.stride)] if earlier_sums.shape[1] else []
        return torch.cat([*([] if self.last else [maps]), *folded_sums, torch.stack(sums).sum(dim=0)], dim=1)


def crack_mapper(network: CrackMap, engine: str, rows: Tensor) -> LogitMapper:
    """Returns a mapper that computes `network` by `engine`, on the device of `network`.

    Where the engine's result for a small picture differs from the network's own, the network's own layers are used.
    `rows` (k, channels) are those of `CrackMap.forward`. `unfold_maps` turns the mapper's output into k maps.
    """
    check_engine(engine)
    name = auto_engine(network) if engine == "auto" else engine
    parts = _parts(network)
    return compared_mapper(
        _networks(network, parts, rows),
        parts,
        name,
        device=network.pixel_mean.device,
        fold=_fold_part,
        size_hw=SAMPLE_HW,
    )


def unfold_maps(output: Tensor, strides: Sequence[int], count: int) -> Tensor:
    """Returns `count` maps (1, count, h/4, w/4), one for each row, from the last part's output (1, sums, h/32, w/32).

    `strides` are those of the parts, in order.
    """
    if len(strides) == 1:
        return functional.pixel_shuffle(output, STRIDE_PX // CELL_PX)
    maps = []
    for stride in reversed(strides[1:]):
        maps.append(output[:, -count:])
        output = functional.pixel_shuffle(output[:, :-count], stride)
    maps.append(output if strides[0] == CELL_PX else functional.avg_pool2d(output, CELL_PX // strides[0]))
    whole = maps.pop()
    for part in reversed(maps):
        whole += functional.interpolate(part, whole.shape[-2:], mode="bilinear", align_corners=False)
    return whole


class WholeMap(nn.Module):
    """The whole network as one part: (N, 3, h, w) uint8 to the maps of `rows`, folded to a stride of STRIDE_PX."""

    rows: Tensor

    def __init__(self, network: CrackMap, rows: Tensor) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        self.register_buffer("rows", rows)

    def forward(self, images: Tensor) -> Tensor:
        return functional.pixel_unshuffle(self.network(images, self.rows), STRIDE_PX // CELL_PX)


def _parts(network: CrackMap) -> list[Part]:
    """Returns the parts of the backbone up to its last tap."""
    last = network.taps[-1].child + 1
    if network.backbone not in PARTS:
        return [Part(last, STRIDE_PX, REACH_PX, CELL_BYTES)]
    return [Part(min(part.end, last), part.stride, part.reach, part.cell_bytes) for part in PARTS[network.backbone]]


def _networks(network: CrackMap, parts: Sequence[Part], rows: Tensor) -> list[nn.Module]:
    """Returns a copy of the layers of each part, with the rows of its taps."""
    if len(parts) == 1:
        return [WholeMap(network, rows).eval()]
    children, heads = list(copy.deepcopy(network.features).eval()), network.split(rows.detach())
    networks: list[nn.Module] = []
    channels = 3
    for start, end in itertools.pairwise([0, *(part.end for part in parts)]):
        taps = [index for index, tap in enumerate(network.taps) if start <= tap.child < end]
        edges = [start, *(network.taps[index].child + 1 for index in taps)]
        blocks = [nn.Sequential(*children[low:high]) for low, high in itertools.pairwise(edges)]
        part = TappedPart(
            blocks,
            [heads[index] for index in taps],
            channels=channels,
            stride=parts[len(networks)].stride,
            last=end == parts[-1].end,
        )
        channels = network.taps[taps[-1]].channels
        networks.append(nn.Sequential(Pixels(network), part) if start == 0 else part)
    return [layers.eval() for layers in networks]


def _fold_part(network: nn.Module) -> nn.Module:
    """Returns a copy of `network` with BatchNorm folded into the convolutions of its blocks."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, TappedPart):
            module.blocks = nn.ModuleList(fold_batchnorms(block) for block in module.blocks)
        if isinstance(module, CrackMap):
            module.features = nn.Sequential(*(fold_batchnorms(nn.Sequential(child)) for child in module.features))
    return network
