"""Options of the network."""

from dataclasses import dataclass

from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_choices, one_of

KINDS = ("classifier", "crack_map")
LESSONS = range(20, 100_001)
IMAGE_SIZES = range(32, 1025)  # the backbones halve the picture five times


@dataclass
class ModelOptions:
    """A backbone and its weights. For a classifier: whether the backbone is frozen, and the dropout before the head.
    For a crack map: how many pictures with drawn cracks its head is trained on before it is trained on labels, unless
    it is the head of the package.

    Raises UserError for an option out of range.
    """

    backbone: str = "mobilenet_v2"
    weights: str | None = "IMAGENET1K_V1"  # a torchvision entry, a file, or null for random
    freeze: bool = True
    dropout: float = 0.3
    kind: str = one_of("classifier", KINDS)
    lessons: int | None = None  # pictures with drawn cracks to train on, for model=crack_map

    def __post_init__(self) -> None:
        check_choices(self, group="model.")
        if self.is_map and not self.freeze:
            raise UserError("model.freeze=false: the backbone of a crack map stays frozen, only its head learns")
        if self.is_map and (self.lessons is None or self.lessons not in LESSONS):
            raise UserError(f"model.lessons={self.lessons}: {LESSONS[0]} to {LESSONS[-1]}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"model.dropout={self.dropout}: 0 or more, below 1")

    @property
    def is_map(self) -> bool:
        """Returns whether the network is a crack map."""
        return self.kind == "crack_map"
