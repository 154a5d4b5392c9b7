"""Locks, checks and merges parts (shards) of features, computed by processes that share only a folder.

The part of a view is the remainder of its key, a hash of the file's content, by the number of parts. Processes do not
wait for each other: each part has its own lock, for which only runs of the same part compete, and its own file. Merged
rows are in the order of their keys, so that the result does not depend on how many processes computed it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.features.module import MissingView
from crack_lightning.features.store import CHUNK_ROWS, MERGED, FeatureStore, PartWriter, RowLocations
from crack_lightning.system.locks import lock_at_once

log = logging.getLogger(__name__)


def views_of_shard(views: Sequence[MissingView], shard: int, shards: int) -> list[MissingView]:
    """Returns the views that belong to part `shard` of `shards`."""
    return [view for view in views if view.key % shards == shard]


def shard_name(shard: int, shards: int) -> str:
    """Returns the stem of the file names of a part."""
    return f"shard-{shard:05d}-of-{shards:05d}"


@contextmanager
def all_locks(folder: Path) -> Iterator[None]:
    """Holds the locks of all parts in `folder`. Raises UserError if a part is being computed."""
    with ExitStack() as stack:
        for path in sorted(folder.glob("shard-*.lock")):
            _, shard, _, shards = path.stem.split("-")
            stack.enter_context(shard_lock(folder, int(shard), int(shards)))
        yield


def shard_lock(folder: Path, shard: int, shards: int) -> AbstractContextManager[None]:
    """Returns the lock of a part; entering it raises UserError if another run is computing the part."""
    return lock_at_once(folder / f"{shard_name(shard, shards)}.lock", f"computes part {shard} of {shards} in {folder}")


def check_parts(store: FeatureStore, shards: int, missing: Sequence[MissingView]) -> None:
    """Logs the number of views of each part. Raises UserError that names parts with missing views."""
    keys = store.keys
    counts = np.bincount((keys % np.uint64(shards)).astype(np.int64), minlength=shards) if len(keys) else [0] * shards
    lacking: dict[int, int] = {}
    for view in missing:
        lacking[view.key % shards] = lacking.get(view.key % shards, 0) + 1
    for shard, count in enumerate(counts):
        log.info(
            "part %d of %d: %d views%s", shard, shards, count, f", {lacking[shard]} lack" if shard in lacking else ""
        )
    if lacking:
        named = ", ".join(f"{shard} ({count})" for shard, count in sorted(lacking.items())[:10])
        raise UserError(
            f"features.shards={shards}: parts {named} lack views; compute them with -m features.shard="
            f"{','.join(str(shard) for shard in sorted(lacking)[:10])} features.shards={shards}"
        )


def merge(store: FeatureStore) -> None:
    """Merges all rows into one part, sorted by key, and removes the other parts. Raises UserError for damaged rows."""
    keys = np.unique(store.keys)
    locations, missing = store.find(keys)
    if missing.any():
        raise UserError(f"{missing.sum()} rows of {store.folder} are damaged: compute them again, then merge")
    old_files = store.files()
    if [path.name for path in old_files] == [f"{MERGED}.keys"]:
        return
    with PartWriter(store, name=".merging") as writer:
        for start in range(0, len(keys), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            writer.append(keys[chunk], store.rows(RowLocations(locations.part[chunk], locations.row[chunk])))
    for suffix in (".rows", ".keys"):  # keys last, because rows count only when their keys exist
        (store.folder / f".merging{suffix}").replace(store.folder / f"{MERGED}{suffix}")
    for path in old_files:
        if path.stem != MERGED:
            path.unlink()
            path.with_suffix(".rows").unlink(missing_ok=True)
    store.reload()
    log.info("merged %d views of %d parts in %s", len(keys), len(old_files), store.folder)
