"""Divides an inspection into parts, one for each process, and checks that all are finished before the joint report.

The hash of a photograph's name selects its part: if the content did, every process would have to read all photographs.
All parts write to the same run, so that no part repeats what another has finished.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import write_atomically
from crack_lightning.system.locks import lock_at_once

log = logging.getLogger(__name__)

PARTS_FOLDER = "parts"


def photographs_of_part(photographs: Sequence[Photograph], shard: int, shards: int) -> list[Photograph]:
    """Returns the photographs that belong to part `shard` of `shards`."""
    return [photograph for photograph in photographs if _hash(photograph.name) % shards == shard]


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def part_lock(run: Path, shard: int, shards: int) -> AbstractContextManager[None]:
    """Returns the lock to hold while a part is inspected. Raises UserError if another run inspects the same part."""
    path = run / PARTS_FOLDER / f"{_name(shard, shards)}.lock"
    return lock_at_once(path, f"inspects part {shard} of {shards} in {run}")


def write_part(run: Path, shard: int, shards: int, *, settings: str, photographs: int, errors: int) -> None:
    """Writes the record of a finished part."""
    facts = {"shard": shard, "shards": shards, "settings": settings, "photographs": photographs, "errors": errors}
    write_atomically(_record(run, shard, shards), json.dumps(facts, indent=2).encode())


def check_parts(run: Path, shards: int, *, settings: str, source: str) -> None:
    """Logs the counts of each part. Raises UserError that names the parts that are not finished, or that were inspected
    with another checkpoint or other options."""
    unfinished, changed = list[int](), list[int]()
    for shard in range(shards):
        try:
            facts = json.loads(_record(run, shard, shards).read_text())
            log.info("part %d of %d: %d photographs, %d failed", shard, shards, facts["photographs"], facts["errors"])
            if facts["settings"] != settings:
                changed.append(shard)
        except (OSError, ValueError, KeyError, TypeError):
            unfinished.append(shard)
    if changed:
        raise UserError(
            f"parts {_listed(changed)} in {run} were inspected with another checkpoint or other options: use the same "
            "checkpoint and options now, or inspect these parts again"
        )
    if unfinished:
        raise UserError(
            f"parts {_listed(unfinished)} of {shards} are not finished in {run}: inspect {typed('source', source)} "
            f"with the same options, -m shard={','.join(map(str, unfinished[:10]))} shards={shards} "
            f"out={run} first"
        )


def _listed(parts: Sequence[int]) -> str:
    return ", ".join(map(str, parts[:10])) + (" and more" if len(parts) > 10 else "")


def _name(shard: int, shards: int) -> str:
    return f"part-{shard:05d}-of-{shards:05d}"


def _record(run: Path, shard: int, shards: int) -> Path:
    return run / PARTS_FOLDER / f"{_name(shard, shards)}.json"
