"""Features computed once against a plain Lightning loop: seconds of the whole process, peak memory, test accuracy.

    python benchmarks/features.py METU [--count 4000] [--repeats 3] [--plain-epochs 5]

METU holds Negative/ and Positive/. Of each class count/2 images, drawn by a fixed seed, are shared out to train/ val/
test/ (70, 15, 15 %) as links, and every contestant trains on these for 5 epochs, imports and test included. In turn:

    plain       benchmarks/plain_loop.py
    cold        train.py with an empty cache
    warm        the same again
    cold, views as cold, with as many stored views as epochs
    keras       benchmarks/keras_method.py (--also keras), which needs tensorflow-cpu
    sweep       train.py -m over 20 points, two at a time (extra `sweep`), empty cache, no figures or logger

The 20 plain points are one plain run times 20. With fewer --plain-epochs its time in epochs is multiplied likewise,
for whoever has 40,000 images and no patience; Keras's may be timed on a share of an epoch's batches, --keras-part. Peak
memory is the sum over the process and its children of what each has to itself plus its share of what it has in common
(PSS, Linux only), looked at twice a second.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
EPOCHS = 5
RATES = "1e-4,2e-4,5e-4,1e-3,2e-3,3e-3,5e-3,1e-2,2e-2,3e-2"
SWEEP = [f"optimizer.lr={RATES}", "model.dropout=0.1,0.3", "figures=false", "logger=none"]
JOINT = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
POINTS = 20


@dataclass(frozen=True)
class Result:
    seconds: float
    accuracy: float
    peak_mib: float


def link_split(root: Path, folder: Path, count: int) -> None:
    """train/ val/ test/ with links to `count` images of `root`."""
    for source in sorted(path for path in root.iterdir() if path.is_dir()):
        images = sorted(source.iterdir())
        random.Random(0).shuffle(images)
        if len(images) < count // 2:
            raise SystemExit(f"{source} has {len(images)} images: --count {2 * len(images)} at most")
        images = images[: count // 2]
        fifteen = round(0.15 * len(images))
        parts = {"test": images[:fifteen], "val": images[fifteen : 2 * fifteen], "train": images[2 * fifteen :]}
        for split, members in parts.items():
            (folder / split / source.name).mkdir(parents=True)
            for path in members:
                (folder / split / source.name / path.name).symlink_to(path.absolute())


def descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from descendants(int(child))
    except OSError:
        return


def pss_mib(pid: int) -> float:
    total = 0
    for each in descendants(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def run(words: list[str], cache: Path, *, python: str = sys.executable) -> tuple[float, float, str]:
    """Seconds, peak memory in MiB and standard output of a Python command."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    peak, done = [0.0], threading.Event()
    started_s = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [python, *words], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )

        def watch() -> None:
            while not done.wait(0.5):
                peak[0] = max(peak[0], pss_mib(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        text, _ = process.communicate()
        seconds = time.perf_counter() - started_s
        done.set()
        watcher.join()
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(words)} failed:\n{errors.read()[-3000:]}")
    return seconds, peak[0], text


def plain(root: Path, cache: Path, epochs: int) -> Result:
    seconds, peak, text = run(["benchmarks/plain_loop.py", str(root), "--epochs", str(epochs)], cache)
    found = json.loads(text.splitlines()[-1])
    return Result(seconds + found["fit"] * (EPOCHS / epochs - 1), found["accuracy"], peak)


def keras(root: Path, cache: Path, epochs: int, part: float, python: str) -> Result:
    words = ["benchmarks/keras_method.py", str(root), "--epochs", str(epochs), "--part", str(part)]
    seconds, peak, text = run(words, cache, python=python)
    found = json.loads(text.splitlines()[-1])
    times = EPOCHS / epochs / part - 1
    return Result(seconds + found["fit"] * times, found["accuracy"] if found["imagenet"] else nan, peak)


def ours(root: Path, cache: Path, *overrides: str) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        words = ["train.py", "data=folder", f"data.root={root}", f"out={folder}", *overrides]
        seconds, peak, _ = run(words, cache)
        metrics = json.loads((Path(folder) / "metrics.json").read_text())
    return Result(seconds, metrics["test/accuracy"], peak)


def sweep(root: Path, cache: Path) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        words = ["train.py", "-m", "data=folder", f"data.root={root}", f"out={folder}", *JOINT, *SWEEP]
        seconds, peak, _ = run(words, cache)
        found = [json.loads(path.read_text()) for path in Path(folder).glob("*/metrics.json")]
    if len(found) != POINTS:
        raise SystemExit(f"the sweep left {len(found)} runs, not {POINTS}")
    best = min(found, key=lambda metrics: metrics["val/loss"])
    return Result(seconds, best["test/accuracy"], peak)


def repeat(
    root: Path, plain_epochs: int, chosen: Sequence[str], keras_part: float, keras_python: str
) -> dict[str, Result]:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        caches = (Path(first), Path(second))
        found = {"plain": plain(root, caches[0], plain_epochs)}
        found["cold"] = ours(root, caches[0])
        found["warm"] = ours(root, caches[0])
        if "keras" in chosen:
            found["keras"] = keras(root, caches[0], plain_epochs, keras_part, keras_python)
        if "views" in chosen:
            found[f"cold, {EPOCHS} views"] = ours(root, caches[1], f"features.views={EPOCHS}")
    if "sweep" in chosen:
        with tempfile.TemporaryDirectory() as third:
            found[f"sweep of {POINTS}"] = sweep(root, Path(third))
    print(json.dumps({name: vars(result) for name, result in found.items()}), file=sys.stderr, flush=True)
    return found


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(repeats: list[Mapping[str, Result]]) -> str:
    """A Markdown table of medians, lowest to highest in brackets; ratios are taken within each repeat."""
    lines = ["| | seconds | times as fast as plain | peak memory, MiB | test accuracy |", "|---|---|---|---|---|"]
    for name in repeats[0]:
        results = [found[name] for found in repeats]
        points = POINTS if name.startswith("sweep") else 1
        ratios = [points * found["plain"].seconds / found[name].seconds for found in repeats]
        seconds, peaks = [each.seconds for each in results], [each.peak_mib for each in results]
        accuracies = [each.accuracy for each in results]
        cells = [spread(seconds, 1), spread(ratios, 1), spread(peaks, 0), spread(accuracies, 4)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-epochs", type=int, default=EPOCHS)
    parser.add_argument("--also", nargs="*", choices=["views", "sweep", "keras"], default=["views", "sweep"])
    parser.add_argument("--keras-part", type=float, default=1.0)
    parser.add_argument("--keras-python", default=sys.executable, help="an environment with tensorflow-cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        link_split(options.root, Path(folder), options.count)
        chosen = (options.plain_epochs, options.also, options.keras_part, options.keras_python)
        print(table([repeat(Path(folder), *chosen) for _ in range(options.repeats)]))


if __name__ == "__main__":
    main()
