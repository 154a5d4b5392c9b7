from typing import Any

import pytest
import torch
from conftest import classifier

from crack_lightning.training.optimizers import build_optimizer, build_scheduler, check_optimizer, check_scheduler
from crack_lightning.training.options import OptimizerOptions, SchedulerOptions

ADAM: dict[str, Any] = {"name": "Adam", "lr": 1e-3, "backbone_lr": None, "weight_decay": 0.0, "options": {}}


def test_a_frozen_backbone_is_not_given_to_the_optimizer() -> None:
    model = classifier("mobilenet_v2")
    (group,) = build_optimizer(OptimizerOptions(**ADAM), model).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.head.parameters()]


@pytest.mark.parametrize(("given", "used"), [(None, 1e-4), (3e-5, 3e-5)])
def test_an_unfrozen_backbone_has_its_own_learning_rate(given: float | None, used: float) -> None:
    model = classifier("mobilenet_v2", freeze=False)
    head, backbone = build_optimizer(OptimizerOptions(**ADAM | {"backbone_lr": given}), model).param_groups
    assert (head["lr"], backbone["lr"]) == (1e-3, pytest.approx(used))
    assert len(backbone["params"]) == len(list(model.features.parameters()))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lr": 0.0}, r"optimizer.lr=0.0: must be above 0"),
        ({"lr": -1.0}, r"optimizer.lr=-1.0"),
        ({"lr": float("nan")}, r"optimizer.lr=nan"),
        ({"lr": 11.0}, r"optimizer.lr=11.0"),
        ({"backbone_lr": 0.0}, r"optimizer.backbone_lr=0.0"),
        ({"weight_decay": -0.1}, r"optimizer.weight_decay=-0.1"),
        ({"name": "Adamm"}, r"optimizer.name=Adamm: did you mean Adam\?"),
        ({"name": "Optimizer"}, r"optimizer.name=Optimizer"),
    ],
)
def test_what_is_out_of_range_is_refused_at_once(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_optimizer(OptimizerOptions(**ADAM | change))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"options": {"momentum": 0.9}}, r"optimizer.options=.*do not suit Adam.*momentum"),
        ({"name": "Rprop", "weight_decay": 0.1}, r"do not suit Rprop"),
        ({"name": "SparseAdam"}, r"optimizer.name=SparseAdam"),
    ],
)
def test_what_an_optimizer_does_not_take_is_refused_at_once(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_optimizer(OptimizerOptions(**ADAM | change))


def test_an_optimizer_without_weight_decay_can_be_chosen() -> None:
    options = OptimizerOptions(**ADAM | {"name": "Rprop"})
    assert build_optimizer(options, classifier("mobilenet_v2")).defaults["lr"] == 1e-3


def test_a_schedule_is_built_by_name() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    entry = build_scheduler(SchedulerOptions("StepLR", "epoch", None, {"step_size": 1, "gamma": 0.5}), optimizer)
    optimizer.step()
    entry["scheduler"].step()
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert entry["interval"] == "epoch"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (("StepLr", "epoch", None, {}), r"scheduler.name=StepLr: did you mean StepLR\?"),
        (("StepLR", "batch", None, {"step_size": 1}), r"scheduler.interval=batch: must be one of epoch, step"),
        (("StepLR", "epoch", None, {}), r"scheduler.options=\{\} do not suit StepLR"),
        (("StepLR", "epoch", "val/loss", {"step_size": 1}), r"scheduler.monitor=val/loss with"),
        (("ReduceLROnPlateau", "epoch", None, {}), r"scheduler.monitor=None with"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_once(spec: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_scheduler(SchedulerOptions(*spec))
