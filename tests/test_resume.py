"""Runs that go on from where others stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_train import copied, equal, metrics, tensors

from crack_lightning.training.task import CrackTask


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["features=live"],
        ["model.freeze=false", "scheduler=step", "scheduler.options.step_size=1"],
        ["scheduler=plateau", "scheduler.options.patience=0", "+scheduler.options.threshold=1"],
    ],
    ids=["default", "live", "unfrozen, step", "plateau"],
)
def test_an_epoch_and_another_after_resuming_equal_two(trained: Callable[..., Path], extra: list[str]) -> None:
    whole = trained(*extra, run="whole")
    half = trained("trainer.max_epochs=1", *extra, run="half")
    checkpoint = half / "checkpoints/last.ckpt"
    resumed = trained(f"ckpt_path={checkpoint}", "trainer.max_epochs=2", run="resumed", base=[])
    for name in ("last.ckpt", "best.ckpt"):
        assert equal(tensors(whole / "checkpoints" / name), tensors(resumed / "checkpoints" / name))
    times = {"fit_seconds": 0.0}
    assert metrics(whole) | times == metrics(resumed) | times


def test_the_best_checkpoint_goes_along_when_a_run_is_resumed_elsewhere(trained: Callable[..., Path]) -> None:
    first = trained("trainer.max_epochs=1", run="first")
    best = (first / "checkpoints/best.ckpt").read_bytes()
    checkpoint = torch.load(first / "checkpoints/last.ckpt", weights_only=True)
    (key,) = [key for key in checkpoint["callbacks"] if key.startswith("BestCheckpoint")]
    checkpoint["callbacks"][key]["best_model_score"] = torch.tensor(-1.0)  # no later epoch can be better
    checkpoint["callbacks"][key]["kth_value"] = torch.tensor(-1.0)
    torch.save(checkpoint, first / "checkpoints/last.ckpt")
    second = trained(f"ckpt_path={first}/checkpoints/last.ckpt", "trainer.max_epochs=2", run="second", base=[])
    assert (second / "checkpoints/best.ckpt").read_bytes() == best
    assert metrics(second)["best_epoch"] == 1


def test_resuming_refuses_what_would_spoil_the_run(trained: Callable[..., Path]) -> None:
    checkpoint = trained("trainer.max_epochs=1", run="first") / "checkpoints/last.ckpt"
    for change, text in (
        ("seed=3", "seed was 0"),
        ("optimizer.lr=0.5", "optimizer.lr was 0.001"),
        ("model=resnet18", "model.backbone was mobilenet_v2"),
        ("scheduler=cosine", "scheduler.name was None"),
        ("callbacks.early_stopping.patience=9", "callbacks.early_stopping.patience was 3"),
        ("data.fractions=[0.5,0.25,0.25]", "data.fractions was"),
        ("trainer.max_epochs=1", "has finished epoch 1"),
    ):
        with pytest.raises(ValueError, match=text):
            trained(f"ckpt_path={checkpoint}", change, run="second", base=[])


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
    with pytest.raises(ValueError, match=r"no longer those of .*it's =here when the checkpoint was left"):
        trained(f"ckpt_path={checkpoint}", "trainer.max_epochs=3", run="third", base=[])


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = CrackTask.training_step

    def interrupted(task: CrackTask, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if task.current_epoch == 1:
            raise KeyboardInterrupt
        return step(task, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(CrackTask, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"go on with python train.py ckpt_path=.*last.ckpt"):
            trained()
    resumed = trained(f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt", run="resumed", base=[])
    whole = trained(run="whole")
    assert equal(tensors(whole / "checkpoints/last.ckpt"), tensors(resumed / "checkpoints/last.ckpt"))
