"""Class activation maps of pictures of any size in a given memory: part by part, and each part tile by tile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from crack_lightning.inference.geometry import Span, overlapping
from crack_lightning.models.logit_maps import LogitMapper, Step
from crack_lightning.models.parts import Part


def logit_map(mapper: LogitMapper, picture: Tensor, *, memory_mb: float) -> Tensor:
    """A picture (1, 3, h, w) uint8 to logits (1, 2, h', w'), as `mapper` gives them of the whole, on the CPU.

    The layers take about `memory_mb`. Beside it stand the picture and the map between two parts, of about 6 bytes a
    pixel. Tiles overlap by as far as their part sees, so that no cell that counts knows that its tile ends.
    """
    if not mapper.parts:
        return mapper(picture)
    with ThreadPoolExecutor(mapper.at_once) as pool:
        for step, part in zip(mapper.steps, mapper.parts, strict=True):
            most = memory_mb * 2**20 / mapper.at_once / part.cell_bytes
            picture = _computed(step, part, picture, pool, most)
    return picture.float().cpu()


def _computed(step: Step, part: Part, inputs: Tensor, pool: ThreadPoolExecutor, most: float) -> Tensor:
    """The output of one part, of tiles of at most `most` cells."""
    height, width = inputs.shape[2:]
    tiles = overlapping((height, width), most=most, reach=part.reach, stride=part.stride)

    def compute(tile: tuple[Span, Span]) -> Tensor:
        down, across = tile
        return step(inputs[:, :, down.low : down.high, across.low : across.high])

    found: Iterator[Tensor] = pool.map(compute, tiles)
    whole, rows, columns = inputs.new_empty(0), 0, 0
    for (down, across), output in zip(tiles, found, strict=True):
        if not whole.numel():
            whole = output.new_empty(1, output.shape[1], -(-height // part.stride), -(-width // part.stride))
        top, left = down.start // part.stride, across.start // part.stride
        counted = output[:, :, _own(down, part), _own(across, part)]
        whole[:, :, top : top + counted.shape[2], left : left + counted.shape[3]] = counted
        rows, columns = max(rows, top + counted.shape[2]), max(columns, left + counted.shape[3])
    return whole[:, :, :rows, :columns]  # less where a part leaves out what is not a whole cell


def _own(span: Span, part: Part) -> slice:
    """The cells of a tile's output that count."""
    skipped = (span.start - span.low) // part.stride
    return slice(skipped, skipped - (span.start - span.end) // part.stride)
