"""Pieces that are joined one by one, and which of them belong together."""

from collections.abc import Mapping


def root_of(joined: Mapping[int, int], piece: int) -> int:
    """The piece that stands for all that `piece` was joined with; `joined` leads from one to the next."""
    while joined.get(piece, piece) != piece:
        piece = joined[piece]
    return piece
