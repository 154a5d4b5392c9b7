"""Kills runs at random moments and goes on from what is left: nothing may be lost.

    python benchmarks/kills.py METU [--train 20] [--inspect 10] [--seed 0]

METU holds Negative/ and Positive/. A training run is killed with SIGKILL at a random moment of its time. Where it left
a last.ckpt it goes on from there in another folder, else it starts again: it must reach the metrics of the run that
nobody killed. Checkpoints must open at every moment. An inspection is killed likewise and started again in the same
folder: its table must be that of the one that nobody killed. A row each is printed; the exit status is 1 if anything
was lost.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crack_lightning.models.checkpoint import read_checkpoint

REPOSITORY = Path(__file__).parents[1]
EPOCHS, IMAGES = 40, 24


def started(words: list[str], cache: Path, log: Path) -> subprocess.Popen[bytes]:
    """A command of the project in a process group of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, *words], cwd=REPOSITORY, env=environment, stdout=file, stderr=file, start_new_session=True
        )


def finished(words: list[str], cache: Path, log: Path) -> None:
    """Run to the end. Raises SystemExit when it fails."""
    if started(words, cache, log).wait():
        raise SystemExit(f"{' '.join(words)} failed: {log.read_text().splitlines()[-1]}")


def killed_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process still ran when its time had come."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def metrics(run: Path) -> dict[str, float]:
    found = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in found.items() if name != "fit_seconds"}


def table(run: Path) -> list[dict[str, str]]:
    """inspection.csv without the seconds."""
    with (run / "inspection.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def train(folder: Path, times: int, draw: random.Random) -> int:
    cache, log, lost = folder / "cache", folder / "train.log", 0
    same = [f"trainer.max_epochs={EPOCHS}", f"callbacks.early_stopping.patience={EPOCHS}", "features.engine=folded"]
    words = ["train.py", "data=folder", f"data.root={folder}/patches", "figures=false", *same]
    began_s = time.monotonic()
    finished([*words, f"out={folder}/whole"], cache, log)
    length_s = time.monotonic() - began_s
    expected = metrics(folder / "whole")
    for number in range(times):
        run, on = folder / f"killed-{number}", folder / f"on-{number}"
        at_s = draw.uniform(0, length_s)
        killed = killed_after(started([*words, f"out={run}"], cache, log), at_s)
        last = run / "checkpoints/last.ckpt"
        for path in run.glob("checkpoints/*.ckpt"):
            read_checkpoint(path)  # raises when it is half-written
        way = [f"ckpt_path={last}"] if last.exists() else words[1:]
        finished(["train.py", *way, "figures=false", "features.engine=folded", f"out={on}"], cache, log)
        right = metrics(on) == expected
        lost += not right
        how = ("went on from last.ckpt" if last.exists() else "began again") if killed else "had ended before"
        print(
            f"train, killed after {at_s:.1f} of {length_s:.1f} s: {how}, {'same' if right else 'OTHER'} metrics",
            flush=True,
        )
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(on, ignore_errors=True)
    return lost


def inspect(folder: Path, times: int, draw: random.Random) -> int:
    cache, log, lost = folder / "cache", folder / "inspect.log", 0
    words = ["-m", "crack_lightning", "inspect", f"ckpt_path={folder}/whole/checkpoints/best.ckpt", "tile_px=100"]
    words += [f"source={folder}/patches", "engine=folded"]
    began_s = time.monotonic()
    finished([*words, f"out={folder}/inspected"], cache, log)
    length_s = time.monotonic() - began_s
    expected = table(folder / "inspected")
    for number in range(times):
        run, at_s = folder / f"inspected-{number}", draw.uniform(0, length_s)
        killed_after(started([*words, f"out={run}"], cache, log), at_s)
        kept = len(list(run.glob("photographs/*/*/inspection.json")))
        finished([*words, f"out={run}"], cache, log)
        right = table(run) == expected
        lost += not right
        print(
            f"inspect, killed after {at_s:.1f} of {length_s:.1f} s: {kept} photographs kept, "
            f"{'same' if right else 'OTHER'} table",
            flush=True,
        )
    return lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metu", type=Path)
    parser.add_argument("--train", type=int, default=20)
    parser.add_argument("--inspect", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("Negative", "Positive"):
            (folder / "patches" / kind).mkdir(parents=True)
            for path in sorted((options.metu / kind).iterdir())[:IMAGES]:
                shutil.copy(path, folder / "patches" / kind)
        lost = train(folder, options.train, draw) + inspect(folder, options.inspect, draw)
    sys.exit(f"{lost} runs lost something" if lost else 0)


if __name__ == "__main__":
    main()
