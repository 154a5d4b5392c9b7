"""Optimisers and schedules by the names that PyTorch gives them."""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from crack_lightning.models.classifier import CrackClassifier


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimiser of `torch.optim` by class name, and how fast it learns.

    `backbone_lr` is the learning rate of an unfrozen backbone; None takes a tenth of `lr`.
    """

    name: str
    lr: float
    backbone_lr: float | None
    weight_decay: float
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        _class_named(torch.optim, self.name, Optimizer, key="optimizer.name")
        for key, rate in (("lr", self.lr), ("backbone_lr", self.backbone_lr)):
            if rate is not None and not (0 < rate <= 10 and math.isfinite(rate)):
                raise ValueError(f"optimizer.{key}={rate}: above 0, at most 10")
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"optimizer.weight_decay={self.weight_decay}: 0 or more, below 1")
        # What does not suit shows before any data is read.
        self._over([{"params": [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))], "lr": self.lr}])

    def build(self, classifier: CrackClassifier) -> Optimizer:
        """The optimiser over the head and, unless it is frozen, the backbone."""
        groups: list[dict[str, Any]] = [{"params": list(classifier.head.parameters()), "lr": self.lr}]
        if not classifier.frozen:
            rate = self.lr / 10 if self.backbone_lr is None else self.backbone_lr
            groups.append({"params": list(classifier.features.parameters()), "lr": rate})
        return self._over(groups)

    def _over(self, groups: list[dict[str, Any]]) -> Optimizer:
        kind = _class_named(torch.optim, self.name, Optimizer, key="optimizer.name")
        options = {"lr": self.lr, **self.options}
        if self.weight_decay or "weight_decay" in inspect.signature(kind).parameters:
            options["weight_decay"] = self.weight_decay
        try:
            return kind(groups, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"optimizer.options={dict(self.options)} do not suit {self.name}: {error}") from error


@dataclass(frozen=True)
class SchedulerSpec:
    """A schedule of `torch.optim.lr_scheduler` by class name, stepped every "epoch" or "step"."""

    name: str
    interval: str
    monitor: str | None
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        _class_named(lr_scheduler, self.name, lr_scheduler.LRScheduler, key="scheduler.name")
        if self.interval not in ("epoch", "step"):
            raise ValueError(f"scheduler.interval={self.interval}: epoch or step")
        if (self.name == "ReduceLROnPlateau") != (self.monitor is not None):
            raise ValueError(
                f"scheduler.monitor={self.monitor} with scheduler.name={self.name}: "
                "ReduceLROnPlateau watches a figure such as val/loss, the others none"
            )
        self.build(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))

    def build(self, optimizer: Optimizer) -> dict[str, Any]:
        """What Lightning wants to know of a schedule."""
        kind = _class_named(lr_scheduler, self.name, lr_scheduler.LRScheduler, key="scheduler.name")
        try:
            scheduler = kind(optimizer, **self.options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"scheduler.options={dict(self.options)} do not suit {self.name}: {error}") from error
        entry = {"scheduler": scheduler, "interval": self.interval}
        return entry if self.monitor is None else {**entry, "monitor": self.monitor}


def _class_named(module: ModuleType, name: str, base: type, *, key: str) -> Any:
    names = [n for n, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, base)]
    unfit = (base.__name__, "SparseAdam")  # it wants sparse gradients, of which there are none here
    names = sorted(n for n in names if n not in unfit and not n.startswith("_"))
    if name not in names:
        near = get_close_matches(name, names, 1) or [n for n in names if n.lower() == name.lower()]
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{key}={name}: {hint}There are {', '.join(names)}")
    return getattr(module, name)
