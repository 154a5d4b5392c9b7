"""Lists the layers of a classifier with the shapes that pass through them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crack_lightning.models.classifier import CrackClassifier


@dataclass(frozen=True)
class Layer:
    """A layer of a classifier.

    `kind`: name of its class.
    `shape_in`, `shape_out`: shapes of one picture before and after it.
    `parameters`: number of its parameters.
    `trainable`: whether any of them is trained.
    """

    name: str
    kind: str
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    parameters: int
    trainable: bool


def layers(classifier: CrackClassifier) -> list[Layer]:
    """Returns the layers of `classifier` from the backbone's first to the head, for a picture of its image size."""
    recorded: list[Layer] = []
    modules = [(f"features.{name}", child) for name, child in classifier.features.named_children()]
    modules += [(name, getattr(classifier, name)) for name in ("pool", "dropout", "head")]
    hooks = [module.register_forward_hook(_recorder(name, recorded)) for name, module in modules]
    size = classifier.image_size
    device = classifier.pixel_mean.device
    try:
        classifier.predict_proba(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return recorded


def _recorder(name: str, recorded: list[Layer]):  # type: ignore[no-untyped-def]
    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        parameters = list(module.parameters())
        recorded.append(
            Layer(
                name=name,
                kind=type(module).__name__,
                shape_in=tuple(inputs[0].shape[1:]),
                shape_out=tuple(output.shape[1:]),
                parameters=sum(parameter.numel() for parameter in parameters),
                trainable=any(parameter.requires_grad for parameter in parameters),
            )
        )

    return record
