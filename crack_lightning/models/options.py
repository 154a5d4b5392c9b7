"""What network is built."""

from dataclasses import dataclass

from crack_lightning.errors import UserError


@dataclass
class ModelOptions:
    """A backbone, its weights, whether it learns, and the dropout before the head.

    Raises UserError for an option out of range.
    """

    backbone: str
    weights: str | None
    freeze: bool
    dropout: float

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UserError(f"model.dropout={self.dropout}: 0 or more, below 1")
