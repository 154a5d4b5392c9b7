"""What runs the points of a sweep: configuration of the launchers, and sweeps by them."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, metrics, rows
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from crack_lightning.cli.command_line import LAUNCHERS, check_launcher
from crack_lightning.errors import UserError
from crack_lightning.system.logs import quieten
from crack_lightning.system.option_groups import CONF

FILES = {path.stem: path for path in sorted((CONF / "hydra/launcher").glob("*.yaml"))}
# Hydra's, of a file of the same name as what a plugin registers: of that there is a test of its own.
MATCHED = "ignore:\\n'hydra/launcher/.*' is validated against ConfigStore schema:UserWarning"
Compose = Callable[..., DictConfig]


def plugin(name: str) -> Any:
    """The dataclass that the launcher's plugin has registered under its name."""
    pytest.importorskip(LAUNCHERS[name][0])
    Plugins.instance()  # imports those that are installed, which register themselves
    node = ConfigStore.instance().load(f"hydra/launcher/{name}.yaml").node
    return OmegaConf.get_type(node)


def keys(kind: Any, above: str = "") -> set[str]:
    """Of a dataclass, those of its sections as section.key."""
    found = set[str]()
    for field in fields(kind):
        found.add(f"{above}{field.name}")
        if is_dataclass(field.type):
            found |= keys(field.type, f"{above}{field.name}.")
    return found


def keys_of_file(values: Any, sections: set[str], above: str = "") -> set[str]:
    """As `keys`; what is free within a key, such as lines of sbatch, is not looked at."""
    found = set[str]()
    for key, value in values.items():
        found.add(f"{above}{key}")
        if isinstance(value, dict) and any(name.startswith(f"{above}{key}.") for name in sections):
            found |= keys_of_file(value, sections, f"{above}{key}.")
    return found


def test_every_launcher_has_a_file_and_a_pip_line() -> None:
    assert FILES.keys() == LAUNCHERS.keys()


@pytest.mark.filterwarnings(MATCHED)
@pytest.mark.parametrize("name", FILES)
def test_a_launcher_composes_with_the_values_of_its_file(configured: Compose, name: str) -> None:
    pytest.importorskip(LAUNCHERS[name][0])
    configured("train", [f"hydra/launcher={name}"])
    assert HydraConfig.get().runtime.choices["hydra/launcher"] == name
    composed = OmegaConf.to_container(HydraConfig.get().launcher, resolve=False)
    assert composed == OmegaConf.to_container(OmegaConf.load(FILES[name]), resolve=False)


@pytest.mark.parametrize("name", FILES)
def test_composing_a_launcher_warns_of_nothing(configured: Compose, name: str) -> None:
    pytest.importorskip(LAUNCHERS[name][0])
    quieten()  # as every command does first; any other warning is an error here
    configured("train", [f"hydra/launcher={name}"])


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_the_keys_of_its_plugin(name: str) -> None:
    expected = keys(plugin(name))
    found = keys_of_file(OmegaConf.to_container(OmegaConf.load(FILES[name])), expected)
    assert found == expected


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_the_class_of_its_plugin(name: str) -> None:
    target = OmegaConf.load(FILES[name])["_target_"]
    assert target == OmegaConf.structured(plugin(name))["_target_"]
    assert issubclass(get_class(target), Launcher)


@pytest.mark.parametrize(
    ("given", "near"), [("joblb", "joblib"), ("submitit_slrm", "submitit_slurm"), ("rai", "ray"), ("local", None)]
)
def test_an_unknown_launcher_suggests_the_near_one(given: str, near: str | None) -> None:
    hint = rf"did you mean hydra/launcher={near}\? " if near else ""
    listed = "There are basic, joblib, submitit_local, submitit_slurm, ray"
    with pytest.raises(UserError, match=rf"^hydra/launcher={given}: no such launcher. {hint}{listed}$"):
        check_launcher(["-m", "optimizer.lr=1,2", f"hydra/launcher={given}"])


@pytest.mark.parametrize(
    ("name", "extra"), [("joblib", "sweep"), ("submitit_local", "slurm"), ("submitit_slurm", "slurm"), ("ray", "ray")]
)
def test_a_launcher_that_is_missing_names_its_pip_line(monkeypatch: pytest.MonkeyPatch, name: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, LAUNCHERS[name][0], None)
    with pytest.raises(UserError, match=rf'^hydra/launcher={name} is not installed: pip install -e "\.\[{extra}\]"$'):
        check_launcher(["-m", f"hydra/launcher={name}"])


@pytest.mark.parametrize("arguments", [[], ["-m", "optimizer.lr=1,2"], ["hydra/launcher=basic"]])
def test_without_another_launcher_nothing_is_checked(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    for package, _ in LAUNCHERS.values():
        monkeypatch.setitem(sys.modules, package, None)
    check_launcher(arguments)


def sweep(launcher: str, surfaces: Path, folder: Path, *overrides: str, **environment: str) -> tuple[int, str]:
    """Three points by a launcher, the second out of range: the exit status, and what was said."""
    words = [
        *(sys.executable, "train.py", "-m", f"hydra/launcher={launcher}", *TINY, f"data.root={surfaces}"),
        *(f"hydra.sweep.dir={folder}", "optimizer.lr=1e-3,-1,1e-2", *overrides),
    ]
    result = subprocess.run(words, cwd=CONF.parent, capture_output=True, text=True, env=os.environ | environment)
    return result.returncode, result.stdout + result.stderr


def check_points(folder: Path, status: int, text: str) -> None:
    """The good points ran to their end, and the bad one is told."""
    assert status == 1, text
    assert "1 points of the sweep failed: 1" in text
    assert "optimizer.lr=-1" in (folder / "1/error.txt").read_text()
    assert [(row["job"], row["optimizer.lr"]) for row in rows(folder / "sweep.csv")] == [("0", "0.001"), ("2", "0.01")]
    assert [metrics(folder / point)["epochs"] for point in "02"] == [2, 2]


@pytest.mark.slow
def test_submitit_sweeps_on_this_computer(surfaces: Path, tmp_path: Path) -> None:
    pytest.importorskip(LAUNCHERS["submitit_local"][0])
    status, text = sweep("submitit_local", surfaces, tmp_path / "sweep", "hydra.launcher.cpus_per_task=1")
    check_points(tmp_path / "sweep", status, text)


@pytest.mark.slow
def test_ray_sweeps_on_this_computer(surfaces: Path, tmp_path: Path) -> None:
    pytest.importorskip(LAUNCHERS["ray"][0])
    status, text = sweep("ray", surfaces, tmp_path / "sweep", "hydra.launcher.ray.init.num_cpus=2")
    check_points(tmp_path / "sweep", status, text)


# Slurm as far as submitit asks it: a script is kept, its tasks run one after the other, and it says how they ended.
SLURM = {
    "sbatch": """#!/bin/sh
cp "$1" "$FAKE_SLURM/script.sh"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$FAKE_SLURM/script.sh")
(
    for task in $(seq 0 "$last"); do
        export SLURM_JOB_ID=7$task SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=$((last + 1))
        bash "$FAKE_SLURM/script.sh" && state=COMPLETED || state=FAILED
        echo "7_$task|$state|here" >> "$FAKE_SLURM/ended"
    done
) > "$FAKE_SLURM/said" 2>&1 &
echo "Submitted batch job 7"
""",
    # The job's own command stands behind the options, of which two have a word of their own.
    "srun": """#!/bin/sh
while [ "${1#--}" != "$1" ]; do case "$1" in --output|--error) shift 2;; *) shift;; esac; done
export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here
exec "$@"
""",
    "sacct": """#!/bin/sh
echo "JobID|State|NodeList"
cat "$FAKE_SLURM/ended" 2> /dev/null || true
""",
    "scontrol": """#!/bin/sh
echo here
""",
}


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment in which there is a Slurm; its files lie in tmp_path/slurm."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in SLURM.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return {"FAKE_SLURM": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.slow
def test_submitit_sweeps_by_slurm(surfaces: Path, tmp_path: Path, slurm: dict[str, str]) -> None:
    pytest.importorskip(LAUNCHERS["submitit_slurm"][0])
    status, text = sweep("submitit_slurm", surfaces, tmp_path / "sweep", "hydra.launcher.partition=small", **slurm)
    check_points(tmp_path / "sweep", status, text)
    # Slurm says so of the failed point, too; the sweep ends as soon as the last one's result is there.
    ended = (tmp_path / "slurm/ended").read_text().split()
    assert ended[:2] == ["7_0|COMPLETED|here", "7_1|COMPLETED|here"]
    script = (tmp_path / "slurm/script.sh").read_text().splitlines()
    asked = {"requeue", "array=0-2%3", "partition=small", "cpus-per-task=8", "mem=32GB", "time=1440", "nodes=1"}
    assert asked | {"signal=USR2@300", "job-name=train"} <= {line.removeprefix("#SBATCH --") for line in script}
    assert {"export HF_HUB_OFFLINE=1", "export WANDB_MODE=offline"} <= set(script)
