"""The options of a network, and their ranges.

Lessons are synthetic training pictures of a crack map.
"""

from dataclasses import dataclass

from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_choices, one_of

NETWORK_KINDS = ("classifier", "crack_map")
LESSON_COUNTS = range(20, 100_001)
IMAGE_SIZES = range(32, 1025)  # the backbones halve the picture five times


@dataclass
class ModelOptions:
    """A backbone, its weights, and the settings of a classifier or a crack map.

    A classifier has `freeze`, whether the backbone stays frozen, and `dropout`, which is applied before the head. A
    crack map has `lessons`: its head is trained on this many before it is trained on labels. The head of the package's
    own map needs no lessons.

    Raises UserError for an option out of range.
    """

    backbone: str = "mobilenet_v2"
    weights: str | None = "IMAGENET1K_V1"  # a torchvision entry, a file, or null for random
    freeze: bool = True
    dropout: float = 0.3
    kind: str = one_of("classifier", NETWORK_KINDS)
    lessons: int | None = None  # pictures with drawn cracks to train on, for model=crack_map

    def __post_init__(self) -> None:
        check_choices(self, group="model.")
        if self.is_map and not self.freeze:
            raise UserError("model.freeze=false: the backbone of a crack map stays frozen, only its head learns")
        if self.is_map and (self.lessons is None or self.lessons not in LESSON_COUNTS):
            raise UserError(f"model.lessons={self.lessons}: must be from {LESSON_COUNTS[0]} to {LESSON_COUNTS[-1]}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"model.dropout={self.dropout}: must be 0 or more and below 1")

    @property
    def is_map(self) -> bool:
        """Returns whether the network is a crack map."""
        return self.kind == "crack_map"
