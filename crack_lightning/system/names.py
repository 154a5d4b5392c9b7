"""Names of files and folders: compared as people mean them, and shown whatever bytes they hold."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

# Letters that turn the direction of writing, by which a name can look like another one.
DIRECTIONS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # that a cell begins with which spreadsheets compute
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators


def comparable(name: str) -> str:
    """The same text for two spellings of one name: composed or not, with / or \\, in UTF-8 or as Windows had it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # bytes that are no UTF-8, as an old zip holds them
        name = name.encode("utf-8", "surrogatepass" if _half(name) else "surrogateescape").decode("cp1252", "replace")
    return unicodedata.normalize("NFC", name.replace("\\", "/")).strip()


def _half(name: str) -> bool:
    """Whether a name holds half a character that never was a byte."""
    return any("\ud800" <= letter <= "\udfff" and not "\udc80" <= letter <= "\udcff" for letter in name)


def matched(wanted: Iterable[str], among: Iterable[str]) -> dict[str, str]:
    """For each of `wanted` that is `among` the names, in whatever spelling, that name; the same spelling goes first."""
    names = list(dict.fromkeys(among))
    exact = set(names)
    counts = Counter(map(comparable, names))
    alike = {comparable(name): name for name in names if counts[comparable(name)] == 1}
    found: dict[str, str] = {}
    for name in wanted:
        if name in exact:
            found[name] = name
        elif (other := alike.get(comparable(name))) is not None:
            found[name] = other
    return found


def showable(text: str, *, keep: str = "") -> str:
    """`text` as it can be shown, logged and drawn anywhere: other bytes and control characters as \\xfc or \\r.

    The characters in `keep` stay as they are.
    """
    try:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that never was a byte
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter in keep or not _unseen(letter) else _escaped(letter) for letter in text)


def no_formula(text: str) -> str:
    """`text` as a cell of a table: with an apostrophe before what spreadsheets would compute, numbers excepted."""
    if not text.startswith(FORMULAS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def from_cell(text: str) -> str:
    """The text of which `no_formula` made a cell."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text


def _unseen(letter: str) -> bool:
    return letter in DIRECTIONS or unicodedata.category(letter) in UNSEEN


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def shown_in_figures(text: str, *, most: int = 1000) -> str:
    """`text` as matplotlib draws it: the end of it where it is long, and no dollar sign that starts a formula."""
    safe = showable(text)
    return (safe if len(safe) <= most else f"...{safe[3 - most :]}").replace("$", r"\$")


def all_showable(value: object) -> object:
    """`value` with every text in it, in dicts and lists too, showable."""
    if isinstance(value, str):
        return showable(value)
    if isinstance(value, Mapping):
        return {all_showable(key): all_showable(each) for key, each in value.items()}
    return [all_showable(each) for each in value] if isinstance(value, list | tuple) else value
