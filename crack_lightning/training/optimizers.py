"""Builds and checks optimisers and learning rate schedules, which are named by their classes in PyTorch."""

import inspect
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from crack_lightning.errors import UserError
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.training.options import OptimizerOptions, SchedulerOptions


def check_optimizer(options: OptimizerOptions) -> None:
    """Raises UserError for an optimiser that does not exist, or for options that it does not accept."""
    _optimizer(options, [{"params": [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))], "lr": options.lr}])


def build_optimizer(options: OptimizerOptions, classifier: CrackClassifier) -> Optimizer:
    """Returns the optimiser of the head and, unless it is frozen, of the backbone."""
    groups: list[dict[str, Any]] = [{"params": list(classifier.head.parameters()), "lr": options.lr}]
    if not classifier.frozen:
        rate = options.lr / 10 if options.backbone_lr is None else options.backbone_lr
        groups.append({"params": list(classifier.features.parameters()), "lr": rate})
    return _optimizer(options, groups)


def _optimizer(options: OptimizerOptions, groups: list[dict[str, Any]]) -> Optimizer:
    optimizer_class = _class_named(torch.optim, options.name, Optimizer, key="optimizer.name")
    arguments = {"lr": options.lr, **options.options}
    if options.weight_decay or "weight_decay" in inspect.signature(optimizer_class).parameters:
        arguments["weight_decay"] = options.weight_decay
    try:
        return optimizer_class(groups, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer.options={options.options} do not suit {options.name}: {error}") from error


def check_scheduler(options: SchedulerOptions) -> None:
    """Raises UserError for a schedule that does not exist, or for options that it does not accept."""
    if options.name is not None:
        build_scheduler(options, torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))


def build_scheduler(options: SchedulerOptions, optimizer: Optimizer) -> dict[str, Any]:
    """Returns a schedule in the form that Lightning expects; `options.name` must not be None."""
    scheduler_class = _class_named(lr_scheduler, str(options.name), lr_scheduler.LRScheduler, key="scheduler.name")
    try:
        scheduler = scheduler_class(optimizer, **options.options)
    except (TypeError, ValueError) as error:
        raise UserError(f"scheduler.options={options.options} do not suit {options.name}: {error}") from error
    entry = {"scheduler": scheduler, "interval": options.interval}
    return entry if options.monitor is None else {**entry, "monitor": options.monitor}


def _class_named(module: ModuleType, name: str, base: type, *, key: str) -> Any:
    names = [n for n, value in vars(module).items() if isinstance(value, type) and issubclass(value, base)]
    excluded = (base.__name__, "SparseAdam")  # SparseAdam needs sparse gradients
    names = sorted(n for n in names if n not in excluded and not n.startswith("_"))
    if name not in names:
        similar = get_close_matches(name, names, 1) or [n for n in names if n.lower() == name.lower()]
        hint = f"did you mean {similar[0]}? " if similar else ""
        raise UserError(f"{key}={name}: {hint}It must be one of {', '.join(names)}")
    return getattr(module, name)
