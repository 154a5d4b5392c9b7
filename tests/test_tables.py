import codecs
import csv
import os
import unicodedata
from pathlib import Path

import pytest

from crack_lightning.system.files import write_csv
from crack_lightning.system.tables import read_table

ROWS = "path,group\na.jpg,x\nb.jpg,y\n"
FORMS = {
    "plain": ROWS.encode(),
    "Windows lines": ROWS.replace("\n", "\r\n").encode(),
    "byte order mark": codecs.BOM_UTF8 + ROWS.encode(),
    "semicolons": ROWS.replace(",", ";").encode(),
    "semicolons, declared": b"sep=;\r\n" + ROWS.replace(",", ";").encode(),
    "tabs": ROWS.replace(",", "\t").encode(),
    "UTF-16": ROWS.replace(",", "\t").encode("utf-16"),
    "capitals and spaces": ROWS.replace("path,group", " Path , GROUP").encode(),
    "an empty line at the end": ROWS.encode() + b",\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, form: str) -> None:
    (tmp_path / "t.csv").write_bytes(FORMS[form])
    rows = read_table(tmp_path / "t.csv", ("path", "group"), key="data.group_by")
    assert [(row["path"], row["group"]) for row in rows] == [("a.jpg", "x"), ("b.jpg", "y")]


def test_no_cell_is_a_formula_and_names_come_back(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1a", "-x.jpg", "@SUM(1)", "\tx", "'quoted", "plain"]
    write_csv(tmp_path / "t.csv", ["path", "number"], [[name, "-1.5e-3"] for name in names])
    with (tmp_path / "t.csv").open(newline="") as file:
        cells = list(csv.reader(file))[1:]
    assert not any(cell.startswith(("=", "+", "@", "\t")) for cell, _ in cells)
    assert [cell for cell, _ in cells if cell.startswith("-")] == []
    assert {number for _, number in cells} == {"-1.5e-3"}
    assert [row["path"] for row in read_table(tmp_path / "t.csv", ("path",), key="k")] == names


def test_names_without_utf_8_stay_as_the_system_has_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,group\nBr\xfccke.jpg,x\n")
    (row,) = read_table(tmp_path / "t.csv", ("path", "group"), key="data.group_by")
    assert os.fsencode(row["path"]) == b"Br\xfccke.jpg"


def test_what_is_no_such_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data.labels=.*no.csv does not exist: a table with columns path and"):
        read_table(tmp_path / "no.csv", ("path", "label"), key="data.labels")
    (tmp_path / "other.csv").write_text("file;class\na;b\n")
    with pytest.raises(ValueError, match=r"other.csv needs columns path and label; it has file, class"):
        read_table(tmp_path / "other.csv", ("path", "label"), key="data.labels")
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"book.csv is a workbook: save it as CSV"):
        read_table(tmp_path / "book.csv", ("path", "label"), key="data.labels")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match=r"pipe.csv cannot be read \(a named pipe"):
        read_table(tmp_path / "pipe.csv", ("path", "label"), key="data.labels")


def test_composed_and_decomposed_names_are_one(tmp_path: Path) -> None:
    from crack_lightning.data.samples.groups import assign_groups
    from crack_lightning.data.samples.listing import Sample

    names = [unicodedata.normalize("NFD", "ü.jpg"), "b/c.jpg"]
    (tmp_path / "t.csv").write_text("path;group\nü.jpg;x\nb\\c.jpg;y\n", encoding="utf-8")
    samples = [Sample(Path("/photos") / name, 0, name, name) for name in names]
    assert [each.group for each in assign_groups(samples, str(tmp_path / "t.csv"))] == ["x", "y"]
