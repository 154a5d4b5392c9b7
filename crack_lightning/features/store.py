"""Keeps features on disk: rows of numbers under 64-bit keys, in files that are only ever appended to.

A store is a folder of parts. Each build writes a part of its own: `<number>-<name>.rows`, the numbers, and
`<number>-<name>.keys`, a record of key and checksum for each row, written after the row. So a reader never sees half a
row, a killed build loses no finished row, and several processes write side by side.
"""

import errno
import hashlib
import json
import logging
import mmap
import os
import shutil
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

VERSION = 2
RECORD = np.dtype([("key", "<u8"), ("crc", "<u4")])
CHUNK = 4096  # rows verified at a time
MERGED = "merged"  # the part that others were merged into: it comes first
RESIDENT_BYTES = 8 * 2**20  # of rows read before their memory is given back; with neighbours some thirty times that
RESERVE_BYTES = 64 * 2**20  # of the disk that a build keeps free

Array = np.ndarray


@dataclass(frozen=True)
class RowPlaces:
    """The places of rows: for each the number of its part and its place in the part."""

    part: Array
    row: Array


class FeatureStore:
    """A folder of feature rows (channels,) of one dtype, all made in the same way.

    `made_by` (plain values) records how; a folder that was made in another way, or is damaged, is named in the log and
    rebuilt. Opening verifies sizes; `find` verifies the checksums of the rows it returns.
    """

    def __init__(self, folder: Path, *, channels: int, dtype: str, made_by: Mapping[str, object]) -> None:
        self.folder = folder
        self.channels = channels
        self.dtype = np.dtype(dtype)
        self.row_bytes = channels * self.dtype.itemsize
        self.parts: list[Array] = []
        self._maps: list[mmap.mmap] = []
        self._read_bytes = 0
        self._keys = np.empty(0, "<u8")
        self._part = np.empty(0, np.int32)
        self._row = np.empty(0, np.int64)
        self._crc = np.empty(0, "<u4")
        meta = {"version": VERSION, "channels": channels, "dtype": str(self.dtype), "made_by": dict(made_by)}
        # Rows of another store, copied into the folder, do not match their checksums here.
        self.seed = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
        self._check_meta(meta)
        self.reload()

    def _check_meta(self, meta: Mapping[str, object]) -> None:
        path = self.folder / "store.json"
        stored = _read_json(path)
        if stored == meta:
            return
        if self.folder.exists() and any(self.folder.glob("*.rows")):
            log.warning("%s was made by another version or is damaged: its features are computed again", self.folder)
            for part in [*self.folder.glob("*.rows"), *self.folder.glob("*.keys")]:
                part.unlink(missing_ok=True)
        write_atomically(path, json.dumps(meta, indent=2, sort_keys=True).encode())

    def reload(self) -> None:
        """Reads again what the folder holds."""
        self.parts, self._maps, records = [], [], []
        for foreign in sorted(self.folder.glob("[!.]*.rows")):
            if not foreign.with_suffix(".keys").exists():
                log.warning("%s is not part of this store: ignored", foreign)
        for path in self.files():
            rows = path.with_suffix(".rows")
            written = _size(path) // RECORD.itemsize  # first: another job may append, rows before keys
            count = min(written, _size(rows) // self.row_bytes)
            if written > count:
                log.warning("%s is truncated: what it lacks is computed again", rows)
                os.truncate(path, count * RECORD.itemsize)  # so that it is reported only once
            if count == 0:
                continue
            table = np.fromfile(path, RECORD, count)
            part = np.full(count, len(self.parts), np.int32)
            records.append((table["key"], part, np.arange(count, dtype=np.int64), table["crc"]))
            with rows.open("rb") as file:
                self._maps.append(mmap.mmap(file.fileno(), count * self.row_bytes, access=mmap.ACCESS_READ))
            self.parts.append(np.frombuffer(self._maps[-1], self.dtype).reshape(count, self.channels))
        if records:
            keys, parts, numbers, crcs = (np.concatenate(column) for column in zip(*records, strict=True))
            order = np.argsort(keys, kind="stable")
            self._keys, self._part, self._row, self._crc = keys[order], parts[order], numbers[order], crcs[order]
        else:
            self._keys = np.empty(0, "<u8")

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> Array:
        """Returns the keys of all rows (n,) uint64, ascending; the key of a row computed again is there twice."""
        return self._keys

    def files(self) -> list[Path]:
        """Returns the files of keys of the parts, later ones last."""
        return sorted(self.folder.glob("[!.]*.keys"), key=lambda path: (path.stem != MERGED, path.name))

    def next_name(self) -> str:
        """Returns a name for a part after all present ones: it has a number, since clocks of two machines differ."""
        numbers = [int(path.name[:20]) for path in self.files() if path.name[:20].isdigit()]
        return f"{max(numbers, default=0) + 1:020d}-{uuid.uuid4().hex[:12]}"

    def find(self, keys: Array) -> tuple[RowPlaces, Array]:
        """Returns where the rows of `keys` (n,) uint64 lie, and which of them are missing (n,) bool.

        A row whose numbers do not match their checksum counts as missing.
        """
        if not len(self._keys):
            zeros = np.zeros(len(keys), np.int64)
            return RowPlaces(zeros, zeros), np.ones(len(keys), bool)
        # The last of equal keys: a row that was computed again comes in a later part.
        at = np.maximum(np.searchsorted(self._keys, keys, side="right") - 1, 0)
        missing = self._keys[at] != keys
        place = RowPlaces(self._part[at], self._row[at])
        for start in range(0, len(keys), CHUNK):
            chunk = slice(start, start + CHUNK)
            rows = self.rows(RowPlaces(place.part[chunk], place.row[chunk]))
            crcs = np.fromiter((zlib.crc32(row.data, self.seed) for row in rows), "<u4", len(rows))
            damaged = (crcs != self._crc[at[chunk]]) & ~missing[chunk]
            if damaged.any():
                log.warning(
                    "%d damaged rows in %s, or rows of another store, are computed again", damaged.sum(), self.folder
                )
            missing[chunk] |= damaged
        return place, missing

    def rows(self, place: RowPlaces) -> Array:
        """Returns the rows (n, channels) at `place`, copied into memory."""
        rows = np.empty((len(place.row), self.channels), self.dtype)
        for number, part in enumerate(self.parts):
            in_part = place.part == number
            if in_part.any():
                rows[in_part] = part[place.row[in_part]]
        self._read_bytes += rows.nbytes
        if self._read_bytes > RESIDENT_BYTES:
            self._release_memory()
        return rows

    def _release_memory(self) -> None:
        """Gives back the memory of the rows read; the system still has them at hand as long as there is room."""
        self._read_bytes = 0
        for file_map in self._maps:
            if hasattr(file_map, "madvise"):  # not on Windows
                file_map.madvise(mmap.MADV_DONTNEED)

    def check_space(self, rows: int) -> None:
        """Raises OSError when the disk has no room for that many more rows."""
        needed = rows * (self.row_bytes + RECORD.itemsize)
        free = shutil.disk_usage(self.folder).free
        if needed + RESERVE_BYTES > free:
            raise OSError(errno.ENOSPC, _full_message(needed, free), str(self.folder))


class PartWriter:
    """A context manager that appends rows to a part of its own."""

    def __init__(self, store: FeatureStore, *, name: str | None = None) -> None:
        self.store = store
        self.path = store.folder / (name or store.next_name())

    def __enter__(self) -> "PartWriter":
        self._rows = self.path.with_suffix(".rows").open("wb")
        self._keys = self.path.with_suffix(".keys").open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        self._rows.close()
        self._keys.close()

    def append(self, keys: Array, rows: Array) -> None:
        """Writes `rows` (n, channels) under `keys` (n,); on return they are kept, even if the process is killed."""
        rows = np.ascontiguousarray(rows, self.store.dtype)
        records = np.empty(len(rows), RECORD)
        records["key"] = keys
        records["crc"] = [zlib.crc32(row.data, self.store.seed) for row in rows]
        try:
            self._rows.write(rows.tobytes())
            self._rows.flush()
            self._keys.write(records.tobytes())
            self._keys.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            free = shutil.disk_usage(self.store.folder).free
            message = _full_message(len(rows) * self.store.row_bytes, free)
            raise OSError(errno.ENOSPC, message, str(self.store.folder)) from error


def _full_message(needed: int, free: int) -> str:
    return (
        f"the disk is full: {needed / 2**20:.0f} MiB are needed for features and {free / 2**20:.0f} MiB are free; "
        "what is finished is kept. Make room, or give another cache_dir=FOLDER or features=live"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def keys_of(names: Iterable[str]) -> Array:
    """Returns the 64-bit keys (n,) of texts."""
    digests = (hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), "<u8")
