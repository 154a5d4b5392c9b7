"""Computes class activation maps of pictures of any size in limited memory: part by part, and each part in tiles."""

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from crack_lightning.engines.maps import LogitMapper
from crack_lightning.engines.onnx import Step
from crack_lightning.engines.parts import Part
from crack_lightning.inference.geometry import Span, overlapping
from crack_lightning.system.processes import closing_pool
from crack_lightning.system.vision import pil_to_tensor

STRIP_PIXELS = 25_000_000  # most pixels of a strip

Cut = Callable[[Span, Span], Tensor]  # the input of a tile, (1, channels, h, w)


class Croppable(Protocol):
    """A source of tiles: a picture, or an object that computes parts of a picture on request."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def crop(self, box: tuple[int, int, int, int], /) -> Image.Image: ...


def logit_map(mapper: LogitMapper, picture: Croppable, *, memory_mb: float) -> Tensor:
    """Returns the logits (1, 2, h', w') of an RGB picture on the CPU, the same as `mapper` gives for the whole.

    The layers take about `memory_mb`. In addition, a strip of at most STRIP_PIXELS and the map between two parts take
    about 9 bytes per pixel. Tiles and strips overlap by the reach of their layers, so that no cell that counts depends
    on where its tile ends.
    """
    if not mapper.parts:
        return mapper(pil_to_tensor(picture.crop((0, 0, picture.width, picture.height)))[None])
    spans = _strips(mapper.parts, picture)
    if len(spans) == 1:
        return _strip_logits(mapper, picture, memory_mb)
    whole = Part(0, math.prod(part.stride for part in mapper.parts), 0, 0)
    maps = (_strip_logits(mapper, Strip(picture, span), memory_mb)[:, :, _counted_cells(span, whole)] for span in spans)
    return torch.cat(list(maps), dim=2)


@dataclass(frozen=True)
class Strip:
    """The rows of a picture from `span.low` to `span.high`."""

    picture: Croppable
    span: Span

    @property
    def width(self) -> int:
        """Returns the width of the picture."""
        return self.picture.width

    @property
    def height(self) -> int:
        """Returns the height of the strip."""
        return self.span.high - self.span.low

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Returns the part of the strip within `box`: left, top, right, bottom."""
        left, top, right, bottom = box
        return self.picture.crop((left, top + self.span.low, right, bottom + self.span.low))


def _strips(parts: Sequence[Part], picture: Croppable) -> list[Span]:
    """Returns strips of rows with at most STRIP_PIXELS each, extended by the rows that the layers see beyond them."""
    strides = [1, *itertools.accumulate((part.stride for part in parts), operator.mul)]
    reach = sum(part.reach * stride for part, stride in zip(parts, strides, strict=False))
    reach, count = -(-reach // strides[-1]) * strides[-1], -(-picture.width * picture.height // STRIP_PIXELS)
    rows = -(-picture.height // (count * strides[-1])) * strides[-1]
    starts = range(0, picture.height, rows)
    ends = [min(start + rows, picture.height) for start in starts]
    return [
        Span(start, end, max(0, start - reach), min(end + reach, picture.height))
        for start, end in zip(starts, ends, strict=True)
    ]


def _strip_logits(mapper: LogitMapper, picture: Croppable, memory_mb: float) -> Tensor:
    cut, size_hw = _cutter_of_picture(picture), (picture.height, picture.width)
    with closing_pool(ThreadPoolExecutor(mapper.at_once)) as pool:
        for step, part in zip(mapper.steps, mapper.parts, strict=True):
            most = memory_mb * 2**20 / mapper.at_once / part.cell_bytes
            inputs = _compute_part(step, part, cut, size_hw, pool, most)
            cut, size_hw = _cutter_of_map(inputs), (inputs.shape[2], inputs.shape[3])
    return inputs.float().cpu()


def _cutter_of_picture(picture: Croppable) -> Cut:
    """Returns a function that turns tiles into tensors one by one, so that no whole photograph is held twice."""
    return lambda down, across: pil_to_tensor(picture.crop((across.low, down.low, across.high, down.high)))[None]


def _cutter_of_map(inputs: Tensor) -> Cut:
    return lambda down, across: inputs[:, :, down.low : down.high, across.low : across.high]


def _compute_part(
    step: Step, part: Part, cut: Cut, size_hw: tuple[int, int], pool: ThreadPoolExecutor, most: float
) -> Tensor:
    """Returns the output of one part for an input of `size_hw`, computed in tiles of at most `most` cells."""
    height, width = size_hw
    tiles = overlapping(size_hw, most=most, reach=part.reach, stride=part.stride)
    outputs: Iterator[Tensor] = pool.map(lambda tile: step(cut(*tile)), tiles)
    whole, rows, columns = torch.empty(0), 0, 0
    for (down, across), output in zip(tiles, outputs, strict=True):
        if not whole.numel():
            whole = output.new_empty(1, output.shape[1], -(-height // part.stride), -(-width // part.stride))
        top, left = down.start // part.stride, across.start // part.stride
        counted = output[:, :, _counted_cells(down, part), _counted_cells(across, part)]
        whole[:, :, top : top + counted.shape[2], left : left + counted.shape[3]] = counted
        rows, columns = max(rows, top + counted.shape[2]), max(columns, left + counted.shape[3])
    return whole[:, :, :rows, :columns]  # smaller where a part skips an incomplete cell


def _counted_cells(span: Span, part: Part) -> slice:
    """Returns which cells of a tile's output count, along one side."""
    skipped = (span.start - span.low) // part.stride
    return slice(skipped, skipped - (span.start - span.end) // part.stride)
