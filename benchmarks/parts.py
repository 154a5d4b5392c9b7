"""Features in parts against one run.

    python benchmarks/parts.py METU [--count 2000] [--parts 1 2 4]

`train.py features.shard=K features.shards=N` for each part, two at a time, then the run that puts them
together and trains; seconds of the whole, of one part after the other added up, and a hash of the store, the same for
any number of parts. Whole processes, imports included, each with an empty cache.
"""

import argparse
import hashlib
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from features import link_split, run

AT_ONCE = 2
TINY = ["trainer.max_epochs=1", "figures=false", "logger=none", "leakage=exact"]


def trained(root: Path, cache: Path, *words: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        data = [] if any(word.startswith("data=") for word in words) else ["data=folder"]
        arguments = ["train.py", *data, f"data.root={root}", f"out={folder}", *TINY, *words]
        return run(arguments, cache)[0]


def store_digest(cache: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(cache.rglob("merged.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def shards(root: Path, parts: list[int]) -> None:
    print("| parts | seconds, two at a time | seconds, added up | bytes of the store |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as empty:
        print(f"| one run, no parts | {trained(root, Path(empty)):.1f} | | |", flush=True)
    for count in parts:
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder)
            started_s = time.perf_counter()

            def part(number: int, cache: Path = cache, count: int = count) -> float:
                return trained(root, cache, f"features.shard={number}", f"features.shards={count}")

            with ThreadPoolExecutor(AT_ONCE) as pool:
                each = list(pool.map(part, range(count)))
            last = trained(root, cache, f"features.shards={count}")
            whole = time.perf_counter() - started_s
            print(f"| {count} | {whole:.1f} | {sum(each) + last:.1f} | {store_digest(cache)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        link_split(options.root, Path(folder), options.count)
        shards(Path(folder), options.parts)


if __name__ == "__main__":
    main()
