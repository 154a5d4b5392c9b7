"""Locks, checks and merges the parts of features, computed by processes that share nothing but a folder.

A view belongs to the part that its key, a hash of the file's content, falls into. Nobody waits: each part has a lock of
its own, for which only runs of the same part compete, and a file of its own, named without time or process. Merged
rows are in the order of their keys, so that the result does not depend on how many processes computed it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np

from crack_lightning.errors import UserError
from crack_lightning.features.module import Wanted
from crack_lightning.features.store import CHUNK, MERGED, FeatureStore, PartWriter, RowPlaces
from crack_lightning.system.locks import at_once

log = logging.getLogger(__name__)


def of_shard(wanted: Sequence[Wanted], shard: int, shards: int) -> list[Wanted]:
    """Returns the views that belong to part `shard` of `shards`."""
    return [view for view in wanted if view.key % shards == shard]


def shard_name(shard: int, shards: int) -> str:
    """Returns the beginning of the names of a part's files."""
    return f"shard-{shard:05d}-of-{shards:05d}"


@contextmanager
def all_locks(folder: Path) -> Iterator[None]:
    """Holds the locks of all parts, whatever their number. Raises UserError where one is being computed."""
    with ExitStack() as stack:
        for path in sorted(folder.glob("shard-*.lock")):
            _, shard, _, shards = path.stem.split("-")
            stack.enter_context(shard_lock(folder, int(shard), int(shards)))
        yield


def shard_lock(folder: Path, shard: int, shards: int) -> AbstractContextManager[None]:
    """Returns the lock to hold while a part is computed. Raises UserError where another run computes the same part."""
    return at_once(folder / f"{shard_name(shard, shards)}.lock", f"computes part {shard} of {shards} in {folder}")


def check_parts(store: FeatureStore, shards: int, missing: Sequence[Wanted]) -> None:
    """Logs how many views each part has. Raises UserError that names the parts that lack views."""
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
    """Merges all rows into one part, in the order of their keys and checked, and removes the other parts."""
    keys = np.unique(store.keys)
    place, missing = store.find(keys)
    if missing.any():
        raise UserError(f"{missing.sum()} rows of {store.folder} are damaged: compute them again, then merge")
    before = store.files()
    if [path.name for path in before] == [f"{MERGED}.keys"]:
        return
    with PartWriter(store, name=".merging") as writer:
        for start in range(0, len(keys), CHUNK):
            chunk = slice(start, start + CHUNK)
            writer.append(keys[chunk], store.rows(RowPlaces(place.part[chunk], place.row[chunk])))
    for suffix in (".rows", ".keys"):  # the keys last: rows without keys belong to no part
        (store.folder / f".merging{suffix}").replace(store.folder / f"{MERGED}{suffix}")
    for path in before:
        if path.stem != MERGED:
            path.unlink()
            path.with_suffix(".rows").unlink(missing_ok=True)
    store.reload()
    log.info("%d views of %d parts are one: %s", len(keys), len(before), store.folder)
