"""Features computed in parts by processes that share nothing but a folder, and the parts put together.

A view belongs to the part that its key, a hash of the file's content, falls into. Nobody waits: each part has a lock of
its own, which two runs of one part would both want, and a file of its own, whose name has neither clock nor process.
Put together, rows stand in the order of their keys, so that the result does not depend on how many computed it.
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
    """Those that belong to part `shard` of `shards`."""
    return [each for each in wanted if each.key % shards == shard]


def shard_name(shard: int, shards: int) -> str:
    """The beginning of the names of a part's files."""
    return f"shard-{shard:05d}-of-{shards:05d}"


@contextmanager
def all_locks(folder: Path) -> Iterator[None]:
    """Held while parts are put together. Raises UserError where any is being computed, whatever number they are of."""
    with ExitStack() as held:
        for path in sorted(folder.glob("shard-*.lock")):
            _, shard, _, shards = path.stem.split("-")
            held.enter_context(shard_lock(folder, int(shard), int(shards)))
        yield


def shard_lock(folder: Path, shard: int, shards: int) -> AbstractContextManager[None]:
    """Held while a part is computed. Raises UserError where another run computes the same one."""
    return at_once(folder / f"{shard_name(shard, shards)}.lock", f"computes part {shard} of {shards} in {folder}")


def check_parts(store: FeatureStore, shards: int, missing: Sequence[Wanted]) -> None:
    """Log what each part has. Raises UserError that names the parts that lack views."""
    keys = store.keys
    counts = np.bincount((keys % np.uint64(shards)).astype(np.int64), minlength=shards) if len(keys) else [0] * shards
    lacking: dict[int, int] = {}
    for each in missing:
        lacking[each.key % shards] = lacking.get(each.key % shards, 0) + 1
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
    """All rows in one part, in the order of their keys, each compared with its checksum; the others are removed."""
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
    for suffix in (".rows", ".keys"):  # the keys last: without them the rows are of no part
        (store.folder / f".merging{suffix}").replace(store.folder / f"{MERGED}{suffix}")
    for path in before:
        if path.stem != MERGED:
            path.unlink()
            path.with_suffix(".rows").unlink(missing_ok=True)
    store.reload()
    log.info("%d views of %d parts are one: %s", len(keys), len(before), store.folder)
