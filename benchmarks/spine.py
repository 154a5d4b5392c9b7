"""How fast surfaces are drawn and how fast --help answers, each beside a peer in the same run.

    python benchmarks/spine.py

Peers: for drawing, Pillow's own cost of filling a picture with Gaussian noise and encoding it as JPEG; for
--help, importing lightning, which a command that is not careful pays before it prints a word.
"""

import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from crack_lightning.data.synthetic.surface_folder import render_surface

REPOSITORY = Path(__file__).parents[1]
SURFACES = 200
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def draw() -> None:
    for index in range(SURFACES):
        render_surface(seed=0, index=index, positive=index % 2 == 1, size_px=227)


def encode_noise() -> None:
    for _ in range(SURFACES):
        Image.effect_noise((227, 227), 50).convert("RGB").save(io.BytesIO(), "JPEG", quality=85)


def python(*words: str) -> Callable[[], object]:
    command = [sys.executable, *words]
    return lambda: subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object], unit: str, count: int) -> None:
    """Print median and spread of ours, the peer and their ratio, taken in turn."""
    pairs = [(seconds(ours), seconds(peer)) for _ in range(REPEATS)]
    for label, values in (
        (f"{name} [{unit}]", [count / a if count > 1 else a for a, _ in pairs]),
        ("  peer", [count / b if count > 1 else b for _, b in pairs]),
        ("  time, ours over peer's", [a / b for a, b in pairs]),
    ):
        print(f"{label:42} median {statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    compare("surfaces drawn, one core", draw, encode_noise, "images/s", SURFACES)
    compare("train.py --help", python("train.py", "--help"), python("-c", "import lightning.pytorch"), "s", 1)
