"""Features in parts, and from archives, against one run on files.

    python benchmarks/parts.py shards METU [--count 2000] [--parts 1 2 4]
    python benchmarks/parts.py packed METU [--count 2000]
    python benchmarks/parts.py index [--rows 1000000]

`shards`: `train.py features.shard=K features.shards=N` for each part, two at a time, then the run that puts them
together and trains; seconds of the whole, of one part after the other added up, and a hash of the store, the same for
any number of parts. `packed`: seconds until the features of all pictures are there, from files and from the archives of
`pack`, in turn, three times. `index`: memory and time that opening and listing a packed data set of that size takes.
Whole processes, imports included, each with an empty cache.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from features import link_split, run

ROUNDS, AT_ONCE = 3, 2
TINY = ["trainer.max_epochs=1", "figures=false", "logger=none", "leakage=exact"]


def trained(root: Path, cache: Path, *words: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        data = [] if any(word.startswith("data=") for word in words) else ["data=folder"]
        arguments = ["train.py", *data, f"data.root={root}", f"hydra.run.dir={folder}", *TINY, *words]
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


def packed(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archives = Path(folder) / "packed"
        words = ["-m", "crack_lightning.pack", "data=folder", f"data.root={root}", f"hydra.run.dir={archives}"]
        with tempfile.TemporaryDirectory() as cache:
            print(f"packed in {run(words, Path(cache))[0]:.1f} s")
        ratios = []
        places = {"data=folder": root, "data=webdataset": archives}
        for number in range(ROUNDS):
            found = dict[str, float]()
            for data in sorted(places, reverse=bool(number % 2)):  # by turns: the second of two is often the slower
                with tempfile.TemporaryDirectory() as cache:
                    found[data] = trained(places[data], Path(cache), data, "features.shard=0", "features.shards=1")
            files, packs = found["data=folder"], found["data=webdataset"]
            ratios.append(files / packs)
            print(f"files {files:.1f} s, archives {packs:.1f} s", flush=True)
    print(f"archives are {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times as fast")


INDEX = """
import resource, sys, time
from pathlib import Path
from crack_lightning.data.samples.packed import PackedSamples
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
samples = PackedSamples(Path(sys.argv[1]), "train")
labels = sum(sample.label for sample in samples)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{len(samples)} pictures: {(after - before) / 1024:.0f} MiB, {time.perf_counter() - started:.1f} s a pass")
"""


def index(rows: int) -> None:
    from crack_lightning.data.samples.listing import Sample
    from crack_lightning.data.samples.packed import index_line

    for count in (rows // 1000, rows):
        with tempfile.TemporaryDirectory() as folder:
            with (Path(folder) / "train.jsonl").open("wb") as file:
                for k in range(count):
                    name = f"Positive/{k:08d}.jpg"
                    file.write(index_line("train-000000.tar", 512 * k, 4096, Sample(Path(name), k % 2, name, name)))
            with tempfile.TemporaryDirectory() as cache:
                print(run(["-c", INDEX, folder], Path(cache))[2].strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("shards", "packed"):
        verb = verbs.add_parser(name)
        verb.add_argument("root", type=Path)
        verb.add_argument("--count", type=int, default=2000)
        verb.add_argument("--parts", type=int, nargs="*", default=[1, 2, 4])
    verbs.add_parser("index").add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.verb == "index":
        index(options.rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        link_split(options.root, Path(folder), options.count)
        if options.verb == "shards":
            shards(Path(folder), options.parts)
        else:
            packed(Path(folder))


if __name__ == "__main__":
    main()
