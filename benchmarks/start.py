"""How long commands take to start, against importing torch and torchvision as a script does.

    python benchmarks/start.py PICTURE [--repeats 5]

Seconds until a process has ended, or until `crack predict` and `crack inspect` open the first picture, by turns; median
(lowest to highest), and as a share of the peer's.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Ends the process when it opens the picture, and prints by the clock that all processes of a computer share.
UNTIL_OPENED = """
import os, sys, time
verb, folder, picture = sys.argv[1:]
def seen(event, arguments):
    if event == "open" and str(arguments[0]) == picture:
        print(time.monotonic(), flush=True)
        os._exit(0)
sys.addaudithook(seen)
sys.argv = ["crack", verb, picture, "out=" + folder]
from crack_lightning.__main__ import main
main()
"""
WAYS = {
    "import torch, torchvision": ["-c", "import torch, torchvision"],
    "import crack_lightning": ["-c", "import crack_lightning"],
    "crack --help": ["-m", "crack_lightning", "--help"],
    "crack inspect --help": ["-m", "crack_lightning", "inspect", "--help"],
    "crack predict, until it opens the picture": ["predict"],
    "crack inspect, until it opens the picture": ["inspect"],
}


def seconds_of(way: list[str], picture: Path) -> float:
    """Returns the seconds of one run."""
    with tempfile.TemporaryDirectory() as folder:
        waits = len(way) == 1
        line = [sys.executable, "-c", UNTIL_OPENED, *way, folder, str(picture)] if waits else [sys.executable, *way]
        started_s = time.monotonic()
        result = subprocess.run(line, capture_output=True, text=True, check=True)
        ended_s = float(result.stdout.split()[-1]) if waits else time.monotonic()
    return ended_s - started_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(options.repeats + 1):
        for name, way in WAYS.items():
            seconds[name].append(seconds_of(way, options.picture.absolute()))
    peer = statistics.median(next(iter(seconds.values()))[1:])
    print("| | seconds | of the peer's |\n|---|---|---|")
    for name, measured in seconds.items():
        runs = measured[1:]  # the first reads files into memory
        low, middle, high = min(runs), statistics.median(runs), max(runs)
        print(f"| {name} | {middle:.2f} ({low:.2f} to {high:.2f}) | {middle / peer:.2f} |")


if __name__ == "__main__":
    main()
