"""What only whole processes show."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY, rows
from PIL import Image

from crack_lightning.system.option_groups import CONF

pytestmark = pytest.mark.slow


def command_line(surfaces: Path, folder: Path, *overrides: str) -> list[str]:
    return [sys.executable, "train.py", *TINY, f"data.root={surfaces}", f"hydra.run.dir={folder}", *overrides]


def test_two_processes_train_together_and_one_tests(surfaces: Path, tmp_path: Path) -> None:
    words = command_line(surfaces, tmp_path / "run", "trainer.devices=2", "trainer.strategy=ddp")
    result = subprocess.run(words, cwd=CONF.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    split, predictions = rows(tmp_path / "run/split.csv"), rows(tmp_path / "run/predictions.csv")
    assert [row["path"] for row in predictions] == [row["path"] for row in split if row["split"] == "test"]
    assert json.loads((tmp_path / "run/metrics.json").read_text())["epochs"] == 2
    assert result.stderr.count("the run folder:") == 1


def test_parallel_points_compute_features_once_and_report_bad_ones(surfaces: Path, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [
        *(sys.executable, "train.py", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        *(*TINY, "data.num_workers=1", f"data.root={surfaces}", f"hydra.sweep.dir={tmp_path / 'sweep'}"),
        "optimizer.lr=1e-3,-1,1e-2",
    ]
    result = subprocess.run(words, cwd=CONF.parent, capture_output=True, text=True)
    assert result.returncode == 1
    assert "1 points of the sweep failed: 1" in result.stderr
    assert "optimizer.lr=-1" in (tmp_path / "sweep/1/error.txt").read_text()
    assert [row["optimizer.lr"] for row in rows(tmp_path / "sweep/sweep.csv")] == ["0.001", "0.01"]
    text = result.stderr + result.stdout
    assert len(re.findall(r"features of 40 views in \d", text)) == 1


SLOW_SECOND = """
import os, sys, time
from crack_lightning.features.store import PartWriter
append = PartWriter.append
def slow(self, keys, rows):
    if os.environ.get("LOCAL_RANK") == "1":
        time.sleep(0.5)
    append(self, keys, rows)
PartWriter.append = slow
sys.path.insert(0, {repository!r})
from crack_lightning.cli.training import main
main()
"""


def test_the_first_process_waits_for_the_features_of_the_second(surfaces: Path, tmp_path: Path) -> None:
    script = tmp_path / "slow_second.py"
    script.write_text(SLOW_SECOND.format(repository=str(CONF.parent)))
    words = command_line(surfaces, tmp_path / "run", "trainer.devices=2", "trainer.strategy=ddp")
    result = subprocess.run([words[0], str(script), *words[2:]], cwd=CONF.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("computing the features of 40 views") == 1


ENDED = {  # by verb: what it works on, what its log says when it has begun, and its exit status
    "inspect": (["source={site}", "engine=folded"], " photographs", 130),
    "predict": (["source={site}", "engine=folded"], "the package's crack map", 130),
    "generate": (["count=100000", "out={site}/drawn"], "", 130),
    "serve": (["source={site}", "engine=folded", "port=0", "open=false"], "the page is at", 0),
}


@pytest.mark.parametrize("verb", ENDED)
def test_sigterm_ends_a_verb_as_ctrl_c_does(tmp_path: Path, verb: str) -> None:
    words, begun, status = ENDED[verb]
    site = tmp_path / "site"
    site.mkdir()
    for number in range(20):
        Image.effect_noise((1600, 1200), 40 + number).convert("RGB").save(site / f"{number}.jpg")
    filled = [word.format(site=site) for word in words]
    line = [sys.executable, "-m", "crack_lightning", verb, *filled, f"hydra.run.dir={tmp_path / 'run'}"]
    text = ""
    with subprocess.Popen(line, cwd=CONF.parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            while begun and begun not in text and process.poll() is None:
                text += process.stderr.readline()
            time.sleep(1.0)
            process.send_signal(signal.SIGTERM)
            text += process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == status, text
    assert "Traceback" not in text


INTERRUPTED_IN_A_STRING = """
from crack_lightning.system.processes import exit_interrupted
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    exit_interrupted()
"""


def test_an_interrupt_within_code_in_a_string_ends_with_130(tmp_path: Path) -> None:
    (tmp_path / "ended.py").write_text(INTERRUPTED_IN_A_STRING)
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent)}
    process = subprocess.run([sys.executable, "-m", "ended"], cwd=tmp_path, env=environment)
    assert process.returncode == 130


def test_ctrl_c_ends_with_one_message_and_status_130(surfaces: Path, tmp_path: Path) -> None:
    last = tmp_path / "run/checkpoints/last.ckpt"
    endless = ["trainer.max_epochs=-1", "callbacks.early_stopping.patience=100000"]
    words = command_line(surfaces, tmp_path / "run", *endless)
    # A test runner that was started in the background may have left SIGINT ignored, which children inherit.
    listening = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(words, cwd=CONF.parent, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, listening)
    try:
        while not last.exists() and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"continue with python train.py ckpt_path={last}" in text
    assert "Traceback" not in text
    result = subprocess.run(
        [
            *(sys.executable, "train.py", f"ckpt_path={last}", f"hydra.run.dir={tmp_path / 'resumed'}"),
            *("trainer.max_epochs=100000", "trainer.max_time=00:00:00:05"),
        ],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
    )
    assert "going on after epoch" in result.stderr
    assert result.returncode == 0, result.stderr
