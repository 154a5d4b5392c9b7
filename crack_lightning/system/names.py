"""Compares names of files and folders as people mean them, and shows them whatever bytes they hold."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

# Characters that turn the direction of writing, by which a name can look like another one.
DIRECTIONS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # first characters of cells that spreadsheets compute
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators


def comparable(name: str) -> str:
    """Returns one text for all spellings of a name: composed or not, with / or \\, in UTF-8 or as Windows had it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # bytes that are not UTF-8, as an old zip holds them
        name = name.encode("utf-8", "surrogatepass" if _half(name) else "surrogateescape").decode("cp1252", "replace")
    return unicodedata.normalize("NFC", name.replace("\\", "/")).strip()


def _half(name: str) -> bool:
    """Returns whether a name holds half a character that never was a byte."""
    return any("\ud800" <= letter <= "\udfff" and not "\udc80" <= letter <= "\udcff" for letter in name)


def matched(wanted: Iterable[str], among: Iterable[str]) -> dict[str, str]:
    """Maps those of `wanted` that are `among` the names, in any spelling, to that name; an equal spelling goes
    first."""
    names = list(dict.fromkeys(among))
    exact = set(names)
    counts = Counter(map(comparable, names))
    alike = {comparable(name): name for name in names if counts[comparable(name)] == 1}
    matches: dict[str, str] = {}
    for name in wanted:
        if name in exact:
            matches[name] = name
        elif (other := alike.get(comparable(name))) is not None:
            matches[name] = other
    return matches


def showable(text: str, *, keep: str = "") -> str:
    """Returns `text` as it can be shown, logged and drawn anywhere: other bytes and control characters as \\xfc or \\r.

    The characters in `keep` stay as they are.
    """
    try:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that never was a byte
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter in keep or not _unseen(letter) else _escaped(letter) for letter in text)


def no_formula(text: str) -> str:
    """Returns `text` as a table cell: with an apostrophe before what spreadsheets would compute, except numbers."""
    if not text.startswith(FORMULAS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def from_cell(text: str) -> str:
    """Returns the text of which `no_formula` made a cell."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text


def _unseen(letter: str) -> bool:
    return letter in DIRECTIONS or unicodedata.category(letter) in UNSEEN


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def shown_in_figures(text: str, *, most: int = 1000) -> str:
    """Returns `text` as matplotlib draws it: only the end of a long one, and no dollar sign that starts a formula."""
    safe = showable(text)
    return (safe if len(safe) <= most else f"...{safe[3 - most :]}").replace("$", r"\$")


def all_showable(value: object) -> object:
    """Returns `value` with every text in it made showable, in dicts and lists too."""
    if isinstance(value, str):
        return showable(value)
    if isinstance(value, Mapping):
        return {all_showable(key): all_showable(item) for key, item in value.items()}
    return [all_showable(item) for item in value] if isinstance(value, list | tuple) else value


def plural(count: int, thing: str) -> str:
    """Returns a number of things in words, such as `1 crack` and `2 cracks`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
