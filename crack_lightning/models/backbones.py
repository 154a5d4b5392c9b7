"""Cuts feature extractors from torchvision's backbones, by name."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from crack_lightning.errors import UserError
from crack_lightning.system.vision import models

Cut = Callable[[nn.Module], "OrderedDict[str, nn.Module]"]

BACKBONES: dict[str, Cut] = {}


def register(*names: str) -> Callable[[Cut], Cut]:
    """Registers a function that returns the layers, up to the feature map, of torchvision's models of these names."""

    def add(cut: Cut) -> Cut:
        BACKBONES.update(dict.fromkeys(names, cut))
        return cut

    return add


@register(
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "vgg16_bn",
)
def _features(model: nn.Module) -> "OrderedDict[str, nn.Module]":
    return OrderedDict(model.get_submodule("features").named_children())


@register("densenet121")
def _densenet(model: nn.Module) -> "OrderedDict[str, nn.Module]":
    return OrderedDict([*model.get_submodule("features").named_children(), ("relu", nn.ReLU())])


@register("swin_t")
def _swin(model: nn.Module) -> "OrderedDict[str, nn.Module]":
    # Its stages return (N, h, w, C); the last layer moves the channels to where other backbones have them.
    last = [(name, model.get_submodule(name)) for name in ("norm", "permute")]
    return OrderedDict([*model.get_submodule("features").named_children(), *last])


@register("resnet18", "resnet50", "regnet_y_400mf", "shufflenet_v2_x1_0")
def _up_to_the_pool(model: nn.Module) -> "OrderedDict[str, nn.Module]":
    return OrderedDict((name, child) for name, child in model.named_children() if name not in ("avgpool", "fc"))


def check_backbone(name: str) -> None:
    """Raises ValueError, which suggests the most similar name, for a backbone that is not registered."""
    if name not in BACKBONES:
        similar = get_close_matches(name, BACKBONES, 1)
        hint = f"did you mean {similar[0]}? " if similar else ""
        raise UserError(f"unknown backbone {name!r}: {hint}Choose one of {', '.join(sorted(BACKBONES))}")


def build_features(
    name: str, state_dict: Mapping[str, torch.Tensor] | None, *, random: bool = True
) -> tuple[nn.Sequential, int]:
    """Returns the layers of torchvision's `name` up to its last feature map, and the map's number of channels.

    The layers turn normalised pictures (N, 3, h, w) into maps (N, channels, about h/32, about w/32). `state_dict` is
    that of the whole torchvision model, with or without its head; for None the weights stay random. Without `random`
    they stay undefined, which is faster, for a caller that loads them all.

    Raises ValueError for an unknown name or weights that do not fit.
    """
    check_backbone(name)
    with nullcontext() if random else WithoutRandomNumbers():
        model = models.get_model(name, weights=None)
    features = nn.Sequential(BACKBONES[name](model))
    if state_dict is not None:
        _load(name, model, features, state_dict)
    with torch.no_grad():
        channels = features.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
    return features, channels


class WithoutRandomNumbers(TorchFunctionMode):
    """Leaves tensors of this thread as they are where they would get random numbers: to draw those of a network takes
    longer than to load it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_):
            return args[0]
        return func(*args, **(kwargs or {}))


def _load(name: str, model: nn.Module, features: nn.Module, state_dict: Mapping[str, torch.Tensor]) -> None:
    """Loads the tensors into `model`, except those of its head, which is cut off."""
    feature_ids = {id(tensor) for tensor in features.state_dict(keep_vars=True).values()}
    kept = [key for key, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in feature_ids]
    missing = [key for key in kept if key not in state_dict and not key.endswith("num_batches_tracked")]
    try:
        model.load_state_dict({key: state_dict[key] for key in kept if key in state_dict}, strict=False)
    except (RuntimeError, AttributeError) as error:  # another shape, or values that are not tensors
        raise UserError(f"the weights do not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    if missing:
        raise UserError(f"the weights do not fit {name}: {len(missing)} tensors are missing, such as {missing[0]}")
