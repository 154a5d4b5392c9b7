"""A data set in tar archives, in the layout of WebDataset: its splits, read from an index of a line for each picture.

`pack.json` says what there is; `<split>-<number>.tar` hold the pictures as they were, each followed by its class as
`.cls`; `<split>.jsonl` says of each where it lies. The index stays on the disk: a million pictures take as much memory
as a thousand, and eight bytes each.
"""

import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.presplit import SPLITS
from crack_lightning.errors import UserError
from crack_lightning.system.members import member_path

FORMAT = 1
FACTS = "pack.json"
NEWLINE = 10
CHUNK = 2**20  # bytes of the index that are looked through at a time


def index_line(archive: str, start: int, size: int, sample: Sample) -> bytes:
    """The line of a picture in an index."""
    name = f"{sample.path.parent.name}/{sample.path.name}"
    return json.dumps([archive, start, size, sample.label, sample.name, sample.group, name]).encode() + b"\n"


class PackedSamples(Sequence[Sample]):
    """The samples of a split, each made when it is asked for."""

    def __init__(self, root: Path, split: str) -> None:
        self.root, self.path = root, root / f"{split}.jsonl"
        with self.path.open("rb") as file:
            empty = self.path.stat().st_size == 0
            self._text = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        ends = [_line_ends(self._text[start : start + CHUNK]) + start for start in range(0, len(self._text), CHUNK)]
        self._edges = np.concatenate([np.zeros(1, np.int64), *ends])

    def __len__(self) -> int:
        return len(self._edges) - 1

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        line = self._text[self._edges[number] : self._edges[number + 1]]
        archive, start, size, label, name, group, file = json.loads(line)
        return Sample(member_path(f"{self.root}/{archive}", start, size, file), label, name, group)

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))


def _line_ends(text: bytes) -> np.ndarray:
    """Behind which bytes lines end."""
    return np.flatnonzero(np.frombuffer(text, np.uint8) == NEWLINE) + 1


def is_packed(root: Path) -> bool:
    """Whether `root` holds archives that pack made."""
    return (root / FACTS).is_file()


def packed_splits(root: Path, class_names: Sequence[str]) -> dict[str, PackedSamples]:
    """The splits of a packed data set. Raises UserError for a folder that is none, for archives that are missing or
    truncated, and for other class names."""
    facts = _facts(root)
    if list(facts["class_names"]) != list(class_names):
        raise UserError(
            f"{root} was packed with the classes {', '.join(facts['class_names'])}: give "
            f"data.class_names=[{','.join(facts['class_names'])}] data.positive_class={facts['positive_class']}"
        )
    for split in SPLITS:
        for name, size in facts["splits"][split]["files"].items():
            there = (root / name).stat().st_size if (root / name).is_file() else None
            if there != size:
                what = "is missing" if there is None else f"has {there} bytes instead of {size}"
                raise UserError(f"{root / name} {what}: copy it again, or pack again")
    return {split: PackedSamples(root, split) for split in SPLITS}


def packed_split(root: Path, split: str, class_names: Sequence[str]) -> list[Sample]:
    """The samples of a split, labelled by their places in `class_names`, in whatever order they were packed.

    Raises UserError as `packed_splits`."""
    packed = [str(name) for name in _facts(root)["class_names"]]
    if set(packed) != set(class_names):
        raise UserError(
            f"{root} was packed with the classes {', '.join(packed)}: give data.class_names=[{','.join(packed)}], in "
            f"the order of the checkpoint's, {', '.join(class_names)}"
        )
    labels = [list(class_names).index(name) for name in packed]
    return [replace(sample, label=labels[sample.label]) for sample in packed_splits(root, packed)[split]]


def _facts(root: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((root / FACTS).read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"{root} has no {FACTS}: data=webdataset is for what python -m crack_lightning.pack made; give "
            "data=folder for class folders"
        ) from error
    except ValueError as error:
        raise UserError(f"{root / FACTS} is damaged: pack again") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or set(facts.get("splits", ())) != set(SPLITS):
        raise UserError(f"{root / FACTS} is of another version: pack again")
    return facts
