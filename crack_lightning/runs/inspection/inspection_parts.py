"""An inspection in parts, each by a process of its own, and what makes one report of them.

A photograph belongs to the part that a hash of its name falls into: to divide them by content, every part would have to
read all of them. The files of each photograph lie in one folder, so that what is done is done for all.
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
from crack_lightning.system.locks import at_once

log = logging.getLogger(__name__)

FOLDER = "parts"


def of_shard(photographs: Sequence[Photograph], shard: int, shards: int) -> list[Photograph]:
    """Those of part `shard` of `shards`."""
    return [each for each in photographs if _place(each.name) % shards == shard]


def _place(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def part_lock(run: Path, shard: int, shards: int) -> AbstractContextManager[None]:
    """Held while a part is inspected. Raises UserError where another run inspects the same one."""
    return at_once(run / FOLDER / f"{_name(shard, shards)}.lock", f"inspects part {shard} of {shards} in {run}")


def write_part(run: Path, shard: int, shards: int, *, settings: str, photographs: int, errors: int) -> None:
    """What a part says of itself when it is done."""
    facts = {"shard": shard, "shards": shards, "settings": settings, "photographs": photographs, "errors": errors}
    write_atomically(_record(run, shard, shards), json.dumps(facts, indent=2).encode())


def check_parts(run: Path, shards: int, *, settings: str, source: str) -> None:
    """Log what each part did. Raises UserError that names parts that are not there or not done, and those of another
    checkpoint or other options."""
    gone, other = list[int](), list[int]()
    for shard in range(shards):
        try:
            facts = json.loads(_record(run, shard, shards).read_text())
            log.info("part %d of %d: %d photographs, %d failed", shard, shards, facts["photographs"], facts["errors"])
            if facts["settings"] != settings:
                other.append(shard)
        except (OSError, ValueError, KeyError, TypeError):
            gone.append(shard)
    if other:
        raise UserError(
            f"parts {_listed(other)} of {run} were inspected with another checkpoint or other options: give those, or "
            "inspect these parts again"
        )
    if gone:
        raise UserError(
            f"parts {_listed(gone)} of {shards} are not done in {run}: inspect {typed('source', source)} with the same "
            f"options, -m shard={','.join(map(str, gone[:10]))} shards={shards} and "
            f"hydra.sweep.dir={run} for hydra.run.dir first"
        )


def _listed(parts: Sequence[int]) -> str:
    return ", ".join(map(str, parts[:10])) + (" and more" if len(parts) > 10 else "")


def _name(shard: int, shards: int) -> str:
    return f"part-{shard:05d}-of-{shards:05d}"


def _record(run: Path, shard: int, shards: int) -> Path:
    return run / FOLDER / f"{_name(shard, shards)}.json"
