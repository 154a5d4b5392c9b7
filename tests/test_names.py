import os
import unicodedata

import pytest

from crack_lightning.system.names import all_showable, comparable, matched, showable, shown_in_figures

LATIN_1 = os.fsdecode(b"Br\xfccke.jpg")


@pytest.mark.parametrize(
    "spelling",
    [
        unicodedata.normalize("NFD", "Pfeiler/Brücke.jpg"),
        "Pfeiler\\Brücke.jpg",
        f"Pfeiler/{LATIN_1}",
        " Pfeiler/Brücke.jpg",
    ],
)
def test_a_name_is_the_same_in_every_spelling(spelling: str) -> None:
    assert comparable(spelling) == "Pfeiler/Brücke.jpg"


def test_the_same_spelling_goes_before_another_one() -> None:
    composed, apart = "ü", unicodedata.normalize("NFD", "ü")
    assert matched([composed, apart], [apart, composed]) == {composed: composed, apart: apart}
    assert matched([composed, "x"], [apart]) == {composed: apart}
    assert matched(["a\\b"], ["a/b", "a\\b "]) == {}, "two fit, and neither exactly"


def test_whatever_a_name_holds_can_be_shown() -> None:
    assert showable(LATIN_1) == "Br\\xfccke.jpg"
    assert showable("two\rlines\x1b[31m\n") == "two\\rlines\\x1b[31m\\n"
    assert showable("line\nline", keep="\n") == "line\nline"
    assert showable("gnp.\u202ejpg") == "gnp.\\u202ejpg"
    assert showable("half \ud800") == "half \\ud800"
    assert showable("裂缝 Käse") == "裂缝 Käse"
    assert shown_in_figures("$x$" + "y" * 60, most=20).startswith("...yyy")
    assert all_showable({"a": [LATIN_1, 1], LATIN_1: None}) == {"a": ["Br\\xfccke.jpg", 1], "Br\\xfccke.jpg": None}
