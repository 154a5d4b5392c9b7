"""A data set packed into archives: fewer files, read from beginning to end."""

import io
import json
import logging
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from crack_lightning import __version__
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.packed import FACTS, FORMAT, index_line
from crack_lightning.errors import UserError
from crack_lightning.runs.folder import write_unreadable
from crack_lightning.runs.pack_options import PackOptions
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import replacing, write_atomically
from crack_lightning.system.progress import track

log = logging.getLogger(__name__)


def pack_data(options: PackOptions, folder: Path) -> None:
    """Write archives, an index for each split and pack.json, which comes last, into `folder`.

    Pictures of training are mixed, so that whoever reads them one after the other sees both classes. The same pictures
    and the same seed give the same bytes. Raises UserError or OSError for what cannot be packed.
    """
    if (folder / FACTS).exists():
        raise UserError(f"{folder / FACTS} is there already: give another hydra.run.dir=FOLDER, or delete that one")
    data = CrackDataModule(options.data, seed=options.seed, cache_dir=options.cache_dir)
    data.prepare_data()
    try:
        data.setup()
    finally:
        write_unreadable(folder, data.unreadable)
    splits = {}
    for split, samples in data.splits.items():
        mixed = (
            np.random.default_rng(options.seed).permutation(len(samples)) if split == "train" else range(len(samples))
        )
        files = _packed([samples[k] for k in mixed], folder, split, most_bytes=int(options.shard_mb * 1e6))
        counts = Counter(data.class_names[sample.label] for sample in samples)
        splits[split] = {"images": len(samples), "classes": dict(sorted(counts.items())), "files": files}
    facts = {"format": FORMAT, "crack_lightning": __version__, "class_names": data.class_names, "seed": options.seed}
    facts |= {"positive_class": options.data.positive_class, "splits": splits}
    write_atomically(folder / FACTS, json.dumps(facts, indent=2).encode())
    names = f"data.class_names=[{','.join(data.class_names)}] data.positive_class={options.data.positive_class}"
    log.info("packed: python train.py data=webdataset %s %s", typed("data.root", str(folder)), names)


def _packed(samples: Sequence[Sample], folder: Path, split: str, *, most_bytes: int) -> dict[str, int]:
    """The archives of a split and its index, by name with their bytes."""
    files: dict[str, int] = {}
    index = folder / f"{split}.jsonl"
    with replacing(index) as partial, partial.open("wb") as lines:
        for number, some in enumerate(_shards(samples, most_bytes)):
            name = f"{split}-{number:06d}.tar"
            _write_archive(folder / name, some, lines)
            files[name] = (folder / name).stat().st_size
    return files | {index.name: index.stat().st_size}


def _shards(samples: Sequence[Sample], most_bytes: int) -> Iterator[list[tuple[int, Sample]]]:
    """The samples with their numbers, in parts of about that many bytes."""
    part, size = list[tuple[int, Sample]](), 0
    for number, sample in enumerate(track(samples, "packing", total=len(samples), unit="images")):
        part.append((number, sample))
        size += sample.path.stat().st_size
        if size >= most_bytes:
            yield part
            part, size = [], 0
    if part:
        yield part


def _write_archive(path: Path, samples: Sequence[tuple[int, Sample]], lines: IO[bytes]) -> None:
    with ExitStack() as stack:
        partial = stack.enter_context(replacing(path))
        archive = stack.enter_context(tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT))
        for number, sample in samples:
            content, key = sample.path.read_bytes(), f"{number:010d}"
            start = archive.offset + tarfile.BLOCKSIZE
            _add(archive, f"{key}{sample.path.suffix.lower()}", content)
            _add(archive, f"{key}.cls", str(sample.label).encode())
            lines.write(index_line(path.name, start, len(content), sample))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of nobody, and of no time: the same bytes each time
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
