"""The history of a journal: which corrections are in force, and which one undo and redo turn next."""

from collections.abc import Collection, Sequence

from crack_lightning.corrections.correction import UNDO_OR_REDO, Correction

ALL = ""  # the photograph of a scale for all


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


def to_undo(in_force: Sequence[Correction], photograph: str, names: Collection[str]) -> int | None:
    """Returns the number of the next of the corrections `in_force` to undo; None if there is none.

    It is the last one of the `photograph`, or of all photographs together, if there is one; else the last one of those
    with these `names`: nobody sees what happens in others.
    """
    own = (correction for correction in reversed(in_force) if correction.photograph in (photograph, ALL))
    seen = (correction for correction in reversed(in_force) if correction.photograph in names)
    last = next(own, None) or next(seen, None)
    return None if last is None else last.number


def to_redo(corrections: Sequence[Correction], photograph: str, names: Collection[str]) -> int | None:
    """Returns the number of the correction to redo. None if there is none, or if a new correction was made since.

    It is the last one undone of the `photograph`, or of all photographs together, if no correction of these was made
    since; else the last one of those with these `names`, if none at all was made since.
    """
    mine = (photograph, ALL)
    last = _last_of(corrections, mine)  # nothing before it can be undone any more, in this photograph or at all
    undone, own, photographs = list[int](), list[int](), dict[int, str]()
    for correction in corrections[last:]:
        if correction.kind == "undo" and correction.of is not None:
            photographs = photographs or {other.number: other.photograph for other in corrections}
            name = photographs[correction.of]
            undone += [correction.of] if name in names else []
            own += [correction.of] if name in mine else []
        elif correction.kind == "redo" and correction.of is not None:
            undone, own = ([number for number in part if number != correction.of] for part in (undone, own))
        elif correction.kind not in UNDO_OR_REDO:
            undone = []
            own = [] if correction.photograph in mine else own
    return (own or undone)[-1] if own or undone else None


def _last_of(corrections: Sequence[Correction], photographs: Collection[str]) -> int:
    """Returns the index of the last correction of some photographs, except undo and redo; 0 if there is none."""
    for index in range(len(corrections) - 1, -1, -1):
        if corrections[index].kind not in UNDO_OR_REDO and corrections[index].photograph in photographs:
            return index
    return 0


def made_at_once(corrections: Sequence[Correction], number: int) -> list[Correction]:
    """Returns the corrections that were made at once with the one with this number, itself included."""
    (chosen,) = (correction for correction in corrections if correction.number == number)
    if chosen.batch is None:
        return [chosen]
    return [correction for correction in corrections if correction.batch == chosen.batch]
