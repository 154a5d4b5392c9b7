"""Runs that go on from where others stopped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import copied, equal, metrics, tensors
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from crack_lightning.cli.resume import TAKEN, recomposed
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.system.option_keys import keys, section_of
from crack_lightning.training.task import CrackTask


@pytest.fixture
def first(one_epoch: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be spoilt."""
    return copied(one_epoch, tmp_path / "first")


@pytest.mark.parametrize(
    "extra",
    [
        ["features.views=2"],
        pytest.param(["model.freeze=false", "scheduler=step", "scheduler.options.step_size=1"], marks=pytest.mark.slow),
        ["scheduler=plateau", "scheduler.options.patience=0", "+scheduler.options.threshold=1"],
    ],
    ids=["views", "unfrozen, step", "plateau"],
)
def test_an_epoch_and_another_after_resuming_equal_two(trained: Callable[..., Path], extra: list[str]) -> None:
    whole = trained(*extra, run="whole")
    half = trained("trainer.max_epochs=1", *extra, run="half")
    same_after_resuming(trained, half, whole)


def same_after_resuming(trained: Callable[..., Path], half: Path, whole: Path) -> None:
    """A run of one epoch, gone on with, is the run of two in a row."""
    resumed = trained(f"ckpt_path={half}/checkpoints/last.ckpt", "trainer.max_epochs=2", run="resumed", base=[])
    for name in ("last.ckpt", "best.ckpt"):
        assert equal(tensors(whole / "checkpoints" / name), tensors(resumed / "checkpoints" / name))
    times = {"fit_seconds": 0.0}
    assert metrics(whole) | times == metrics(resumed) | times


def test_a_run_of_the_defaults_resumes_as_if_unbroken(
    trained: Callable[..., Path], one_epoch: Path, two_epochs: Path
) -> None:
    same_after_resuming(trained, one_epoch, two_epochs)


def test_a_run_on_pictures_resumes_as_if_unbroken(trained: Callable[..., Path], two_live_epochs: Path) -> None:
    half = trained("features=live", "trainer.max_epochs=1", run="half")
    same_after_resuming(trained, half, two_live_epochs)


def test_a_run_resumed_elsewhere_takes_the_best_checkpoint_along(
    trained: Callable[..., Path], first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(first.parent))
    best = (first / "checkpoints/best.ckpt").read_bytes()
    checkpoint = torch.load(first / "checkpoints/last.ckpt", weights_only=True)
    (key,) = [key for key in checkpoint["callbacks"] if key.startswith("BestCheckpoint")]
    checkpoint["callbacks"][key]["best_score"] = -1.0  # no later epoch can be better
    torch.save(checkpoint, first / "checkpoints/last.ckpt")
    second = trained("ckpt_path='~/first/checkpoints/last.ckpt'", "trainer.max_epochs=2", run="second", base=[])
    assert (second / "checkpoints/best.ckpt").read_bytes() == best
    assert metrics(second)["best_epoch"] == 1


def test_resuming_refuses_what_would_spoil_the_run(
    trained: Callable[..., Path], configured: Callable[..., DictConfig], one_epoch: Path, two_epochs: Path
) -> None:
    path, finished = (run / "checkpoints/last.ckpt" for run in (one_epoch, two_epochs))
    with pytest.raises(ValueError, match="seed was 0"):
        trained(f"ckpt_path={path}", "seed=3", run="second", base=[])
    checkpoint = torch.load(path, weights_only=True)
    for change, text in (
        ("optimizer.lr=0.5", "optimizer.lr was 0.001"),
        ("model=resnet18", "model.backbone was mobilenet_v2"),
        ("scheduler=cosine", "scheduler.name was None"),
        ("callbacks.early_stopping.patience=9", "callbacks.early_stopping.patience was 3"),
        ("data.fractions=[0.5,0.25,0.25]", "data.fractions was"),
    ):
        with pytest.raises(ValueError, match=text):
            recomposed(configured("train", [f"ckpt_path={path}", change]), checkpoint)
    with pytest.raises(ValueError, match=r"has finished epoch 2, trainer.max_epochs=1 are fewer"):
        trained(f"ckpt_path={finished}", "trainer.max_epochs=1", run="fourth", base=[])


def test_resuming_on_other_photographs_is_refused(
    trained: Callable[..., Path], surfaces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(surfaces, tmp_path / "it's =here")
    monkeypatch.chdir(tmp_path)
    given = """data.root="it's =here\""""
    checkpoint = trained("trainer.max_epochs=1", given, run="first") / "checkpoints/last.ckpt"
    monkeypatch.chdir("/")
    trained(f"ckpt_path={checkpoint}", "trainer.max_epochs=2", run="second", base=[])
    for k in range(8):
        Image.effect_noise((64, 64), 50).save(root / f"Negative/new{k}.png")
    with pytest.raises(ValueError, match=r"no longer those that .*it's =here held when the checkpoint was written"):
        trained(f"ckpt_path={checkpoint}", "trainer.max_epochs=3", run="third", base=[])


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(
    trained: Callable[..., Path], two_epochs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = CrackTask.training_step

    def interrupted(task: CrackTask, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if task.current_epoch == 1:
            raise KeyboardInterrupt
        return step(task, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(CrackTask, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"continue with python train.py ckpt_path=.*last.ckpt"):
            trained()
    resumed = trained(f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt", run="resumed", base=[])
    assert equal(tensors(two_epochs / "checkpoints/last.ckpt"), tensors(resumed / "checkpoints/last.ckpt"))


def forged(checkpoint: Path, change: Callable[[dict[str, Any]], object], name: str) -> Path:
    """A copy of last.ckpt whose configuration is another."""
    content = torch.load(checkpoint, weights_only=True)
    change(content["crack_classifier"]["provenance"]["config"])
    torch.save(content, checkpoint.with_name(f"{name}.ckpt"))
    return checkpoint.with_name(f"{name}.ckpt")


def test_nothing_that_a_checkpoint_names_is_called_or_written_to(
    trained: Callable[..., Path], first: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    shell = {"_target_": "torch.utils.collect_env.run", "command": f"touch {victim}"}
    checkpoint = first / "checkpoints/last.ckpt"

    def attack(config: dict[str, Any]) -> None:
        callbacks, trainer = config["callbacks"], config["trainer"]
        callbacks |= {"x": shell, "learning_rate": shell}
        callbacks["early_stopping"]["_target_"] = trainer["_target_"] = shell["_target_"]
        for name in ("best_checkpoint", "last_checkpoint"):
            callbacks[name] |= {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "dirpath": str(victim)}
        trainer |= {"profiler": "advanced", "devices": 10_000, "num_nodes": 9, "default_root_dir": str(victim)}
        config["features"]["max_cache_gb"] = 0.0
        config |= {"logger": shell, "cache_dir": str(victim), "new": shell}

    second = trained(f"ckpt_path={forged(checkpoint, attack, 'evil')}", "trainer.max_epochs=2", run="second", base=[])
    assert not victim.exists()
    assert (second / "checkpoints/best.ckpt").is_file()
    told = next(line for line in caplog.text.splitlines() if "not taken from the checkpoint" in line)
    for key in (
        "callbacks.x",
        "logger",
        "cache_dir",
        "features.max_cache_gb",
        "trainer.devices",
        "trainer.profiler",
        "new",
    ):
        assert key in told


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("data", "root", "${oc.env:HOME}"),
        ("data", "batch_size", "many"),
        ("data", "class_names", [["a"], "b"]),
        ("optimizer", "options", {"foreach": "${oc.env:HOME}"}),
        ("trainer", "max_epochs", [3]),
        ("data", "fractions", {"a": 1}),
    ],
)
def test_a_value_of_another_type_is_refused(
    configured: Callable[..., DictConfig], one_epoch: Path, section: str, key: str, value: object
) -> None:
    checkpoint = torch.load(one_epoch / "checkpoints/last.ckpt", weights_only=True)
    checkpoint["crack_classifier"]["provenance"]["config"][section][key] = value
    with pytest.raises(ValueError, match=rf"odd.ckpt cannot be continued from: it says {section}.{key}="):
        recomposed(configured("train", ["ckpt_path=odd.ckpt"]), checkpoint)


def test_a_checkpoint_of_drawn_surfaces_is_gone_on_from(configured: Callable[..., DictConfig], one_epoch: Path) -> None:
    checkpoint = torch.load(one_epoch / "checkpoints/last.ckpt", weights_only=True)
    config = checkpoint["crack_classifier"]["provenance"]["config"]
    config["data"] |= {"root": None, "surfaces": {"count": 60, "size_px": 96, "seed": 3}}
    cfg = recomposed(configured("train", ["ckpt_path=last.ckpt", "trainer.max_epochs=9"]), checkpoint)
    assert (cfg.data.surfaces.count, cfg.data.surfaces.seed) == (60, 3)
    config["model"] |= {"kind": "crack_map", "lessons": 20}  # another kind of training than was begun
    with pytest.raises(ValueError, match=r"model.kind was crack_map"):
        recomposed(configured("train", ["ckpt_path=last.ckpt", "trainer.max_epochs=9"]), checkpoint)


def test_a_run_goes_on_without_its_best_checkpoint(
    trained: Callable[..., Path], first: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (first / "checkpoints/best.ckpt").unlink()
    second = trained(f"ckpt_path={first}/checkpoints/last.ckpt", "trainer.max_epochs=2", run="second", base=[])
    assert f"{first}/checkpoints/best.ckpt, is missing: only epochs from now on are compared" in caplog.text
    assert {path.name for path in (second / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


@pytest.mark.parametrize(
    "options", [[], ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=9"]]
)
def test_a_run_that_was_killed_before_its_test_is_tested(
    trained: Callable[..., Path], two_epochs: Path, tmp_path: Path, options: list[str]
) -> None:
    whole = trained("trainer.max_epochs=3", *options, run="whole") if options else two_epochs
    shutil.copytree(whole / "checkpoints", tmp_path / "killed/checkpoints")
    on = trained(f"ckpt_path={tmp_path}/killed/checkpoints/last.ckpt", run="on", base=[])
    times = {"fit_seconds": 0.0}
    assert metrics(on) | times == metrics(whole) | times
    assert metrics(on)["epochs"] == 2
    assert (on / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()


@pytest.mark.slow
def test_loading_processes_of_a_resumed_run_begin_with_its_epoch(trained: Callable[..., Path]) -> None:
    workers = ["features=live", "data.num_workers=1"]
    whole = trained(*workers, run="whole")
    half = trained(*workers, "trainer.max_epochs=1", run="half")
    again = [f"ckpt_path={half}/checkpoints/last.ckpt", "trainer.max_epochs=2", "data.num_workers=1"]
    resumed = trained(*again, run="resumed", base=[])
    assert equal(tensors(whole / "checkpoints/last.ckpt"), tensors(resumed / "checkpoints/last.ckpt"))


def test_a_run_without_early_stopping_goes_on_without(trained: Callable[..., Path]) -> None:
    checkpoint = trained("trainer.max_epochs=1", "callbacks.early_stopping=null", run="first") / "checkpoints/last.ckpt"
    resumed = trained(f"ckpt_path={checkpoint}", "trainer.max_epochs=2", run="resumed", base=[])
    assert metrics(resumed)["epochs"] == 2
    content = torch.load(resumed / "checkpoints/last.ckpt", weights_only=True)
    assert not any(key.startswith("EarlyStopping") for key in content["callbacks"])


LESS_THAN_NONE = {"fit_loop": {"epoch_progress": {"current": {"processed": -5}}}}
FORGED: list[tuple[str, object]] = [
    *(("loops", value) for value in (None, {}, {"fit_loop": 1}, LESS_THAN_NONE)),
    *(("optimizer_states", value) for value in (None, [], 3)),
    *(("callbacks", value) for value in (None, {}, {"History": 3})),
]


@pytest.mark.parametrize(("state", "value"), FORGED, ids=str)
def test_a_checkpoint_without_a_state_is_one_message(one_epoch: Path, state: str, value: object) -> None:
    content = torch.load(one_epoch / "checkpoints/last.ckpt", weights_only=True)
    with pytest.raises(ValueError, match=r"last.ckpt predicts, but"):
        recomposed(OmegaConf.create({"ckpt_path": "last.ckpt"}), {**content, state: value})


@pytest.mark.parametrize("state", ["optimizer_states", "callbacks"])
def test_a_state_that_cannot_be_restored_is_one_message(trained: Callable[..., Path], first: Path, state: str) -> None:
    checkpoint = first / "checkpoints/last.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    wrong = {"optimizer_states": [[None], [{"x": 1}]], "callbacks": [_with_history(content, [{"loss": "x"}])]}
    for value in wrong[state]:
        torch.save(content | {state: value}, checkpoint)
        with pytest.raises(ValueError, match=r"last.ckpt cannot be continued from"):
            trained(f"ckpt_path={checkpoint}", "trainer.max_epochs=2", run="second", base=[])


def _with_history(content: dict[str, Any], epochs: object) -> dict[str, Any]:
    (key,) = [key for key in content["callbacks"] if "History" in key]
    return {**content["callbacks"], key: {"epochs": epochs}}


# What a run that goes on is told anew: the machine, the places, and what is shown.
OF_THE_MACHINE = {
    *("model.kind", "model.lessons"),  # a classifier's
    *("ckpt_path", "cache_dir", "data.num_workers", "features.lock_timeout_s", "features.max_cache_gb"),
    *(f"trainer.{name}" for name in ("accelerator", "devices", "num_nodes", "strategy", "benchmark", "profiler")),
    *(f"trainer.{name}" for name in ("enable_progress_bar", "enable_model_summary", "detect_anomaly")),
    *(
        "trainer.fast_dev_run",
        "trainer.num_sanity_val_steps",
        "callbacks",
        "logger",
        "features.shard",
        "features.shards",
    ),
}


def test_every_option_is_taken_or_given_again() -> None:
    options = {key for key, hint in keys(TrainOptions) if section_of(hint) is None}
    surfaces = {key for key in options if key.startswith("data.surfaces.")}  # taken as a whole
    taken = {key for key in TAKEN if not key.startswith("callbacks.")} - {"data.surfaces"}
    assert taken | OF_THE_MACHINE == options - surfaces
    assert not taken & OF_THE_MACHINE
