"""Stores features on disk: rows of numbers under 64-bit keys, in files that are only appended to.

A store is a folder of parts. Each build writes a new part of two files: `<number>-<name>.rows` holds the numbers, and
`<number>-<name>.keys` holds a record (key and checksum) for each row, written after the row. So a reader never sees an
incomplete row, a killed build loses no finished row, and several processes can write at the same time.
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
CHUNK_ROWS = 4096  # how many rows are verified or merged at a time
MERGED = "merged"  # name of the part that others were merged into; it is the first in order
# After reading this many bytes of rows, their memory is released; with neighbouring rows it is about 30 times as much.
RESIDENT_BYTES = 8 * 2**20
RESERVE_BYTES = 64 * 2**20  # disk space that a build leaves free

Array = np.ndarray


@dataclass(frozen=True)
class RowLocations:
    """The locations of rows: for each, the index of its part and its index in the part."""

    part: Array
    row: Array


class FeatureStore:
    """A folder of feature rows (channels,) of one dtype, all computed in the same way.

    `made_by` (plain values) describes how they are computed. Opening a folder whose rows were computed in another way,
    or which is damaged, logs a warning and removes the rows. Opening verifies sizes; `find` verifies the checksums of
    the rows it returns.
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
        # The seed makes checksums fail for rows that were copied from another store.
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
        """Reads the list of rows from the folder again."""
        self.parts, self._maps, records = [], [], []
        for foreign in sorted(self.folder.glob("[!.]*.rows")):
            if not foreign.with_suffix(".keys").exists():
                log.warning("%s is not part of this store: ignored", foreign)
        for path in self.files():
            rows = path.with_suffix(".rows")
            written = _size(path) // RECORD.itemsize  # before the size of rows: another job may append rows, then keys
            count = min(written, _size(rows) // self.row_bytes)
            if written > count:
                log.warning("%s is truncated: its missing rows are computed again", rows)
                os.truncate(path, count * RECORD.itemsize)  # so that the warning appears only once
            if count == 0:
                continue
            table = np.fromfile(path, RECORD, count)
            part = np.full(count, len(self.parts), np.int32)
            records.append((table["key"], part, np.arange(count, dtype=np.int64), table["crc"]))
            with rows.open("rb") as file:
                self._maps.append(mmap.mmap(file.fileno(), count * self.row_bytes, access=mmap.ACCESS_READ))
            self.parts.append(np.frombuffer(self._maps[-1], self.dtype).reshape(count, self.channels))
        if records:
            keys, parts, rows_in_parts, crcs = (np.concatenate(column) for column in zip(*records, strict=True))
            order = np.argsort(keys, kind="stable")
            self._keys, self._part, self._row, self._crc = keys[order], parts[order], rows_in_parts[order], crcs[order]
        else:
            self._keys = np.empty(0, "<u8")

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> Array:
        """Returns the keys of all rows (n,) uint64, ascending; a row that was computed again has its key twice."""
        return self._keys

    def files(self) -> list[Path]:
        """Returns the file of keys of each part, in the order in which the parts were written."""
        return sorted(self.folder.glob("[!.]*.keys"), key=lambda path: (path.stem != MERGED, path.name))

    def next_name(self) -> str:
        """Returns a name for the next part.

        It is numbered, not timed, since the clocks of two machines may differ.
        """
        numbers = [int(path.name[:20]) for path in self.files() if path.name[:20].isdigit()]
        return f"{max(numbers, default=0) + 1:020d}-{uuid.uuid4().hex[:12]}"

    def find(self, keys: Array) -> tuple[RowLocations, Array]:
        """Returns the locations of the rows of `keys` (n,) uint64, and which rows are missing (n,) bool.

        A row that does not match its checksum counts as missing.
        """
        if not len(self._keys):
            zeros = np.zeros(len(keys), np.int64)
            return RowLocations(zeros, zeros), np.ones(len(keys), bool)
        # The last of equal keys, because a row that was computed again is in a later part.
        found_at = np.maximum(np.searchsorted(self._keys, keys, side="right") - 1, 0)
        missing = self._keys[found_at] != keys
        locations = RowLocations(self._part[found_at], self._row[found_at])
        for start in range(0, len(keys), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            rows = self.rows(RowLocations(locations.part[chunk], locations.row[chunk]))
            crcs = np.fromiter((zlib.crc32(row.data, self.seed) for row in rows), "<u4", len(rows))
            damaged = (crcs != self._crc[found_at[chunk]]) & ~missing[chunk]
            if damaged.any():
                log.warning(
                    "%d damaged rows in %s, or rows of another store, are computed again", damaged.sum(), self.folder
                )
            missing[chunk] |= damaged
        return locations, missing

    def rows(self, locations: RowLocations) -> Array:
        """Returns the rows (n, channels) at `locations`, copied into memory."""
        rows = np.empty((len(locations.row), self.channels), self.dtype)
        for index, part in enumerate(self.parts):
            in_part = locations.part == index
            if in_part.any():
                rows[in_part] = part[locations.row[in_part]]
        self._read_bytes += rows.nbytes
        if self._read_bytes > RESIDENT_BYTES:
            self._release_memory()
        return rows

    def _release_memory(self) -> None:
        """Releases the memory of the rows read; the system keeps them in its cache as long as there is room."""
        self._read_bytes = 0
        for file_map in self._maps:
            if hasattr(file_map, "madvise"):  # not on Windows
                file_map.madvise(mmap.MADV_DONTNEED)

    def check_space(self, rows: int) -> None:
        """Raises OSError when the disk has no room for that number of further rows."""
        needed = rows * (self.row_bytes + RECORD.itemsize)
        free = shutil.disk_usage(self.folder).free
        if needed + RESERVE_BYTES > free:
            raise OSError(errno.ENOSPC, _full_message(needed, free), str(self.folder))


class PartWriter:
    """A context manager that appends rows to a new part."""

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
        """Writes `rows` (n, channels) under `keys` (n,); once it returns, they survive a kill of the process."""
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
        "finished rows are kept. Make room, or give another cache_dir=FOLDER or features=live"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def keys_of(names: Iterable[str]) -> Array:
    """Returns the 64-bit keys (n,) of names: hashes of them."""
    digests = (hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), "<u8")
