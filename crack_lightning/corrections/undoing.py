"""The history of a journal: which corrections are in force, and which one undo and redo turn next."""

from collections.abc import Sequence

from crack_lightning.corrections.correction import UNDO_OR_REDO, Correction


def active(corrections: Sequence[Correction]) -> list[Correction]:
    """Returns the corrections in force: all except those of kind undo or redo, and those that were undone."""
    undone = set[int]()
    for correction in corrections:
        if correction.kind in UNDO_OR_REDO and correction.of is not None:
            (undone.add if correction.kind == "undo" else undone.discard)(correction.of)
    return [
        correction
        for correction in corrections
        if correction.kind not in UNDO_OR_REDO and correction.number not in undone
    ]


def to_undo(in_force: Sequence[Correction], photograph: str | None = None) -> int | None:
    """Returns the number of the last of the corrections `in_force`, which is the next to undo; None if there is none.

    With a `photograph` it is the last one of that photograph if there is one, else the last of all.
    """
    own = (correction for correction in reversed(in_force) if correction.photograph == photograph)
    last = next(own, in_force[-1] if in_force else None)
    return None if last is None else last.number


def to_redo(corrections: Sequence[Correction], photograph: str | None = None) -> int | None:
    """Returns the number of the correction to redo: the last one undone. None if there is none, or if a new correction
    was made since.

    With a `photograph` it is the last one undone of that photograph, if no correction of it was made since, else the
    last of all, if none at all was made since.
    """
    last = _last_of(corrections, photograph)  # nothing before it can be undone any more, in this photograph or at all
    undone, own, names = list[int](), list[int](), dict[int, str]()
    for correction in corrections[last:]:
        if correction.kind == "undo" and correction.of is not None:
            names = names or {other.number: other.photograph for other in corrections}
            undone.append(correction.of)
            own += [correction.of] if names[correction.of] == photograph else []
        elif correction.kind == "redo" and correction.of is not None:
            undone, own = ([number for number in part if number != correction.of] for part in (undone, own))
        elif correction.kind not in UNDO_OR_REDO:
            undone = []
            own = [] if correction.photograph == photograph else own
    return (own or undone)[-1] if own or undone else None


def _last_of(corrections: Sequence[Correction], photograph: str | None) -> int:
    """Returns the index of the last correction of a photograph, except undo and redo; 0 if there is none."""
    for index in range(len(corrections) - 1, -1, -1):
        if corrections[index].kind not in UNDO_OR_REDO and corrections[index].photograph == photograph:
            return index
    return 0


def made_at_once(corrections: Sequence[Correction], number: int) -> list[Correction]:
    """Returns the corrections that were made at once with the one with this number, itself included."""
    (chosen,) = (correction for correction in corrections if correction.number == number)
    if chosen.batch is None:
        return [chosen]
    return [correction for correction in corrections if correction.batch == chosen.batch]
