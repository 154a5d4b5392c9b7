"""Compares names of files and folders in any spelling, and makes texts safe to show, whatever bytes they contain."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

# Characters that change the direction of writing, with which a name can be made to look like another.
DIRECTION_MARKS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a cell that starts with one is a formula to a spreadsheet
INVISIBLE_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # controls, surrogates, line and paragraph separators


def comparable(name: str) -> str:
    """Returns the same text for all spellings of a name: composed or not, with / or \\, in UTF-8 or cp1252."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # bytes that are not UTF-8, as an old zip holds them
        name = name.encode("utf-8", "surrogatepass" if _has_lone_surrogate(name) else "surrogateescape").decode(
            "cp1252", "replace"
        )
    return unicodedata.normalize("NFC", name.replace("\\", "/")).strip()


def _has_lone_surrogate(name: str) -> bool:
    """Returns whether a name contains a surrogate (half a character) that does not stand for a byte."""
    return any("\ud800" <= letter <= "\udfff" and not "\udc80" <= letter <= "\udcff" for letter in name)


def matched(wanted: Iterable[str], among: Iterable[str]) -> dict[str, str]:
    """Returns for each `wanted` name the name `among` others that it means; an equal spelling is preferred.

    A name that has no counterpart in any spelling, or several, is left out.
    """
    names = list(dict.fromkeys(among))
    exact = set(names)
    counts = Counter(map(comparable, names))
    by_spelling = {comparable(name): name for name in names if counts[comparable(name)] == 1}
    matches: dict[str, str] = {}
    for name in wanted:
        if name in exact:
            matches[name] = name
        elif (other := by_spelling.get(comparable(name))) is not None:
            matches[name] = other
    return matches


@lru_cache(2**14)
def showable(text: str, *, keep: str = "") -> str:
    """Returns `text` safe to show anywhere: control characters and bytes that are not UTF-8 become \\r or \\xfc.

    The characters in `keep` stay as they are.
    """
    try:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that does not stand for a byte
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter in keep or not _is_invisible(letter) else _escaped(letter) for letter in text)


def no_formula(text: str) -> str:
    """Returns `text` as a table cell, with an apostrophe before what a spreadsheet would take for a formula."""
    if not text.startswith(FORMULA_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def from_cell(text: str) -> str:
    """Returns the text that `no_formula` turned into this cell."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def _is_invisible(letter: str) -> bool:
    return letter in DIRECTION_MARKS or unicodedata.category(letter) in INVISIBLE_CATEGORIES


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def shown_in_figures(text: str, *, most: int = 1000) -> str:
    """Returns `text` for matplotlib: at most its last `most` characters, with dollar signs that start no formula."""
    safe = showable(text)
    return (safe if len(safe) <= most else f"...{safe[3 - most :]}").replace("$", r"\$")


def all_showable(value: object) -> object:
    """Returns `value` with `showable` applied to every text in it, also in dicts and lists."""
    if isinstance(value, str):
        return showable(value)
    if isinstance(value, Mapping):
        return {all_showable(key): all_showable(item) for key, item in value.items()}
    return [all_showable(item) for item in value] if isinstance(value, list | tuple) else value


def plural(count: int, thing: str) -> str:
    """Returns a count with its noun, such as `1 crack` and `2 cracks`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
