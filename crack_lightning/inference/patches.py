"""Classifies a list of image files."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import MOST_MEGAPIXELS, Picture, read_picture
from crack_lightning.engines.pick import pick_engine
from crack_lightning.errors import UserError
from crack_lightning.models.classifier import CHUNK, CrackClassifier
from crack_lightning.system.processes import closing_pool, cores, default_workers
from crack_lightning.system.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FileLogits:
    """The results of N files.

    `logits` (N, 2): on the CPU.
    `errors`: why a file cannot be read; empty if it can.
    `doubts`: what had to be guessed about its grey levels.
    `sides_px`: its longer side, 0 if it cannot be read.
    """

    logits: Tensor
    errors: Sequence[str]
    doubts: Sequence[str]
    sides_px: Sequence[int]


@dataclass(frozen=True)
class Judging:
    """The settings by which files are classified.

    `batch_size`: pictures in a batch.
    `num_workers`: threads that read and compute; None is as many as suit the device.
    `megapixels`: the most that a file may have.
    """

    batch_size: int
    num_workers: int | None
    device: torch.device
    engine: str
    megapixels: float = MOST_MEGAPIXELS


def pick_device(name: str) -> torch.device:
    """Returns the device called `name`; `auto` is the GPU if there is one.

    Raises UserError if the device is unknown or missing.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        known = re.match(r"(cpu|cuda|mps)\b", name)
        reason = str(error).splitlines()[0] if known else "must be auto, cpu, cuda, cuda:1 or mps"
        raise UserError(f"device={name} is not available: {reason}; use auto or cpu") from error


def judge_files(classifier: CrackClassifier, paths: Sequence[Path | Picture], judging: Judging) -> FileLogits:
    """Returns the logits of files or pictures, in order; each thread reads and classifies its share of batches."""
    if not paths:
        return FileLogits(torch.empty(0, len(classifier.decision.class_names)), [], [], [])
    classifier = classifier.eval().to(judging.device)
    read = _file_reader(classifier.image_size, judging.megapixels)
    with torch.no_grad():
        features = pick_engine(classifier, judging.engine, read(paths[:CHUNK])[0].to(judging.device))
    on_cpu = judging.device.type == "cpu"
    # On the CPU, small batches let a picture stay in the cache of its core from file to logits.
    size = min(judging.batch_size, CHUNK) if on_cpu else judging.batch_size
    usual = cores() if on_cpu else default_workers()
    threads = usual if judging.num_workers is None else judging.num_workers

    @torch.no_grad()  # in each thread
    def judge(batch: Sequence[Path | Picture]) -> FileLogits:
        pictures, errors, doubts, sides_px = read(batch)
        with network_errors(batch[0]):
            logits = classifier.classify(features(pictures.to(judging.device))).float().cpu()
        return FileLogits(logits, errors, doubts, sides_px)

    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    with one_core_each():
        results = list(track(in_threads(judge, parts, threads), "predicting", total=len(parts), unit="batches"))
    errors, doubts = ([text for result in results for text in getattr(result, name)] for name in ("errors", "doubts"))
    sides_px = [side for result in results for side in result.sides_px]
    return FileLogits(torch.cat([result.logits for result in results]), errors, doubts, sides_px)


Read = tuple[Tensor, list[str], list[str], list[int]]


def _file_reader(image_size: int, megapixels: float) -> Callable[[Sequence[Path | Picture]], Read]:
    """Returns a function that reads files. It returns uint8 pictures (N, 3, h, w), errors, doubts and longer sides.

    A picture is black if its file cannot be read.
    """
    transform, black = plain_transform(image_size), torch.zeros(3, image_size, image_size, dtype=torch.uint8)

    def read_one(item: Path | Picture) -> tuple[Tensor, str, str, int]:
        try:
            picture = _picture(item, megapixels)
            return transform(picture.image), "", picture.doubt, max(picture.image.size)
        except Exception as error:  # any error concerns this file alone
            return black, str(error) or type(error).__name__, "", 0

    def read(items: Sequence[Path | Picture]) -> Read:
        pictures, errors, doubts, sides_px = zip(*map(read_one, items), strict=True)
        return torch.stack(pictures), list(errors), list(doubts), list(sides_px)

    return read


def file_by_file(
    logits: Callable[[Image.Image], Tensor],
    paths: Sequence[Path | Picture],
    *,
    num_workers: int | None,
    megapixels: float,
) -> FileLogits:
    """Returns the results of `logits`, which takes an upright RGB picture and returns (2,), for each file.

    It runs on `num_workers` threads; None is one per core.
    """

    def compute(path: Path | Picture) -> tuple[Tensor, str, str, int]:
        try:
            picture = _picture(path, megapixels)
        except Exception as error:  # any error concerns this file alone
            return torch.zeros(2), str(error) or type(error).__name__, "", 0
        with network_errors(path):
            return logits(picture.image), "", picture.doubt, max(picture.image.size)

    with one_core_each():
        results = list(track(in_threads(compute, paths, num_workers or cores()), "predicting", total=len(paths)))
    rows, errors, doubts, sides_px = zip(*results, strict=True) if results else ((), (), (), ())
    return FileLogits(torch.stack(rows) if rows else torch.empty(0, 2), errors, doubts, sides_px)


def _picture(item: Path | Picture, megapixels: float) -> Picture:
    return item if isinstance(item, Picture) else read_picture(item, megapixels=megapixels)


@contextmanager
def network_errors(item: Path | Picture) -> Iterator[None]:
    """Raises UserError if the network fails on `item` or on its batch: the pictures are not at fault."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        lines = str(error).strip().splitlines() or [""]
        path = item if isinstance(item, Path) else "a picture"
        raise UserError(
            f"the network cannot compute {path} ({type(error).__name__}: {lines[0]}): give engine=eager, device=cpu or "
            "another checkpoint; the picture itself was read"
        ) from error


@contextmanager
def one_core_each() -> Iterator[None]:
    """Makes torch use one core in each thread that starts within: cores that share an operation wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """Yields what `work` returns for each of `items`, in their order; only a few are started ahead of the caller."""
    waiting: deque[Future[Result]] = deque()
    with closing_pool(ThreadPoolExecutor(max(1, threads))) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
