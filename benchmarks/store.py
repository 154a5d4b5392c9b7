"""Memory and speed of the feature store at a million rows, against the same numbers in an array in memory.

    python benchmarks/store.py [--rows 1000000] [--channels 1280] [--folder FOLDER]

Random features (float32, 5 GB on disk for a million rows of 1280) are appended in batches of 64, opened and verified,
and read once in shuffled batches of 64, as an epoch of training does. Each stage runs in a process of its own, whose
peak memory is read from /proc (Linux): its own, and in brackets with the pages of the files it maps, which the system
takes back when it needs them. Seconds include the start of Python and its imports. The peer, with --peer, holds all
rows in one array and reads the same batches.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from crack_lightning.features.store import FeatureStore, PartWriter

BATCH = 64
MADE_BY = {"benchmark": "random numbers"}


def opened(folder: Path, channels: int) -> FeatureStore:
    return FeatureStore(folder, channels=channels, dtype="float32", made_by=MADE_BY)


def write(folder: Path, rows: int, channels: int) -> None:
    block = np.random.default_rng(0).standard_normal((BATCH, channels), np.float32)
    with PartWriter(opened(folder, channels)) as writer:
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            writer.append(np.arange(start, start + count, dtype="<u8"), block[:count])


def verify(folder: Path, rows: int, channels: int) -> None:
    _, missing = opened(folder, channels).find(np.arange(rows, dtype="<u8"))
    if missing.any():
        raise SystemExit(f"{missing.sum()} rows are missing")


def read(folder: Path, rows: int, channels: int) -> None:
    store = opened(folder, channels)
    place, _ = store.find(np.arange(rows, dtype="<u8"))
    order = np.random.default_rng(1).permutation(rows)
    for start in range(0, rows, BATCH):
        some = order[start : start + BATCH]
        store.rows(type(place)(place.part[some], place.row[some]))


def peer(folder: Path, rows: int, channels: int) -> None:
    array = np.random.default_rng(0).standard_normal((rows, channels), np.float32)
    order = np.random.default_rng(1).permutation(rows)
    for start in range(0, rows, BATCH):
        array[order[start : start + BATCH]]


STAGES = {"write": write, "verify": verify, "read": read, "peer": peer}


def memory_mib(pid: int) -> tuple[float, float]:
    """The process's own memory, and with mapped files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    fields = {line.split(":")[0]: line.split() for line in lines}
    own, mapped = (int(fields[name][1]) / 1024 if name in fields else 0.0 for name in ("RssAnon", "VmRSS"))
    return own, mapped


def staged(stage: str, folder: Path, rows: int, channels: int) -> str:
    words = [sys.executable, __file__, "--stage", stage, "--rows", str(rows), "--channels", str(channels)]
    started_s = time.perf_counter()
    process = subprocess.Popen([*words, "--folder", str(folder)])
    peaks, done = [0.0, 0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peaks[:] = [max(pair) for pair in zip(peaks, memory_mib(process.pid), strict=True)]

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    done.set()
    watcher.join()
    if status:
        raise SystemExit(f"{stage} failed")
    return f"| {stage} | {time.perf_counter() - started_s:.1f} | {peaks[0]:.0f} ({peaks[1]:.0f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=1280)
    parser.add_argument(
        "--folder", type=Path, help="where the rows are written for a while; the system's temporary one"
    )
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        STAGES[options.stage](options.folder, options.rows, options.channels)
        return
    print(f"{options.rows} rows of {options.channels}\n| stage | seconds | peak memory, MiB |\n|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for stage in ("write", "verify", "read", *(["peer"] if options.peer else [])):
            print(staged(stage, Path(folder), options.rows, options.channels), flush=True)


if __name__ == "__main__":
    main()
