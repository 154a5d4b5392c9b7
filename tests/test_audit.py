import csv
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from omegaconf import DictConfig
from PIL import Image
from verbs import audit

from crack_lightning.data.audit.findings import KINDS, file_findings
from crack_lightning.data.audit.inventory import inventory
from crack_lightning.data.copies import facts as facts_module
from crack_lightning.data.copies.facts import file_facts
from crack_lightning.report.templates import rendered
from crack_lightning.runs.audit.audit_files import Section

Compose = Callable[..., DictConfig]
Rows = list[dict[str, str]]


@pytest.fixture
def photos(surfaces: Path, tmp_path: Path) -> Path:
    """A copy of the small surfaces, to be spoilt."""
    return Path(shutil.copytree(surfaces, tmp_path / "photos"))


@pytest.fixture
def audited(composed: Compose, tmp_path: Path) -> Callable[..., tuple[Rows, int]]:
    """Audit a folder: the rows of audit.csv and the exit status."""

    def run(root: Path, *overrides: str) -> tuple[Rows, int]:
        quoted = str(root).replace("'", r"\'")
        cfg = composed("audit", [f"data.root='{quoted}'", "num_workers=1", *overrides], run="audit")
        status = 0
        try:
            audit(*cfg)
        except SystemExit as end:
            status = int(end.code or 0)
        with (tmp_path / "audit/audit.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return list(csv.DictReader(file)), status

    return run


def kinds(rows: Rows, path: Path) -> set[str]:
    return {row["kind"] for row in rows if row["path"] == str(path)}


def bomb(path: Path) -> None:
    """A PNG of 30,000 x 30,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def sound(photos: Path) -> Path:
    return photos / "Negative/000000.jpg"


def spoilt(photos: Path, kind: str) -> tuple[Path, str]:
    """A file of that kind among the photographs, and what is to be found of it."""
    path = photos / f"Negative/{kind}.jpg"
    image = Image.open(sound(photos)).convert("RGB")
    whole = sound(photos).read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no image at all")
    elif kind == "bomb":
        path = path.with_suffix(".png")
        bomb(path)
    elif kind == "broken link":
        path.symlink_to("nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "wrong extension":
        image.save(path, "PNG")
        return path, "wrong_extension"
    elif kind == "unknown extension":
        path = path.with_suffix(".dat")
        path.write_bytes(whole)
        return path, "wrong_extension"
    elif kind == "notes":
        path = path.with_suffix(".txt")
        path.write_text("measured on Monday")
        return path, "no_image"
    elif kind == "size":
        image.resize((50, 70)).save(path)
        return path, "odd_size"
    elif kind == "aspect":
        image.resize((20, 70)).save(path)
        return path, "odd_aspect"
    elif kind == "grey":
        image.convert("L").save(path)
        return path, "odd_mode"
    elif kind == "16 bit":
        path = path.with_suffix(".png")
        image.convert("I;16").save(path)
        return path, "sixteen_bit"
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
        return path, "turned_by_exif"
    elif kind == "animated":
        path = path.with_suffix(".webp")
        image.save(path, save_all=True, append_images=[image.rotate(90)])
        return path, "animated"
    elif kind in ("black", "white", "grey wall"):
        Image.new("RGB", (64, 64), {"grey wall": "#777777"}.get(kind, kind)).save(path)
        return path, {"black": "nearly_black", "white": "nearly_white", "grey wall": "one_colour"}[kind]
    elif kind == "copy":
        path.write_bytes(whole)
        return path, "exact_duplicate"
    elif kind == "near copy":
        image.transpose(Image.Transpose.ROTATE_90).save(path, quality=70)
        return path, "near_duplicate"
    elif kind == "conflict":
        path = photos / "Positive/conflict.jpg"
        path.write_bytes(whole)
        return path, "label_conflict"
    else:
        raise AssertionError(kind)
    return path, "unreadable"


SPOILT = [
    *("truncated", "empty", "text", "bomb", "broken link", "folder", "wrong extension", "unknown extension", "notes"),
    *("size", "aspect", "grey", "16 bit", "turned", "animated", "black", "white", "grey wall"),
    *("copy", "near copy", "conflict"),
]


def test_audit_finds_every_bad_file_and_audits_the_rest(
    photos: Path, audited: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    expected = [spoilt(photos, kind) for kind in SPOILT]
    rows, status = audited(photos)
    assert status == 1
    for path, kind in expected:
        assert kind in kinds(rows, path), path
    summary = json.loads((tmp_path / "audit/audit.json").read_text())
    assert summary["findings"]["unreadable"] == 6
    page = (tmp_path / "audit/audit.html").read_text()
    for kind in summary["findings"]:
        assert kind.replace("_", " ") in page
    assert "http" not in page.replace("http-equiv", "")


def test_sound_surfaces_have_no_errors(surfaces: Path, audited: Callable[..., tuple[Rows, int]]) -> None:
    rows, status = audited(surfaces)
    assert (rows, status) == ([], 0)


def test_folders_are_compared_with_the_declared_classes(photos: Path) -> None:
    (photos / ".ipynb_checkpoints").mkdir()
    (photos / "Positives").mkdir()
    _, findings = inventory(photos, ["Negative", "Cracked"])
    assert {(each.kind, each.path.name) for each in findings} == {
        ("hidden_folder", ".ipynb_checkpoints"),
        ("missing_class", "Cracked"),
        ("undeclared_class", "Positive"),
        ("undeclared_class", "Positives"),
    }


def test_a_rare_class_is_reported(photos: Path, audited: Callable[..., tuple[Rows, int]]) -> None:
    for path in sorted((photos / "Positive").iterdir())[3:]:
        path.unlink()
    rows, status = audited(photos)
    assert kinds(rows, photos / "Positive") == {"class_imbalance"}
    assert status == 0


def test_links_that_loop_are_followed_once(photos: Path) -> None:
    (photos / "Negative/again").symlink_to(photos / "Negative")
    listed, findings = inventory(photos, None)
    assert len(listed) == 40
    assert [each.kind for each in findings] == ["link_loop"]


def test_a_folder_that_cannot_be_listed_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may list anything: the system's refusal is played.
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("Positive"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listed, findings = inventory(photos, None)
    assert len(listed) == 20
    assert [(each.kind, each.path.name) for each in findings] == [("unreadable_folder", "Positive")]


def test_a_file_that_vanishes_on_the_way_is_a_finding(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(path: Path) -> None:
        path.unlink()

    monkeypatch.setattr(facts_module, "not_a_file", looked)
    found = file_findings([file_facts(sound(photos))])
    assert [(each.kind, each.detail) for each in found] == [("unreadable", "No such file or directory")]


@pytest.mark.parametrize(
    "name",
    ["with space.jpg", "quote's \".jpg", "comma, semicolon;.jpg", "Käse 割れ目.jpg", "two\nlines.jpg", "<b>&.jpg"],
)
def test_odd_names_come_through_whole(
    photos: Path, audited: Callable[..., tuple[Rows, int]], tmp_path: Path, name: str
) -> None:
    path = photos / "Negative" / name
    path.write_bytes(sound(photos).read_bytes())
    rows, _ = audited(photos)
    assert kinds(rows, path) == {"exact_duplicate"}
    assert "<b>" not in (tmp_path / "audit/audit.html").read_text()


def test_a_name_that_is_no_text_comes_through_whole(photos: Path, audited: Callable[..., tuple[Rows, int]]) -> None:
    path = photos / "Negative" / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(sound(photos).read_bytes())
    rows, _ = audited(photos)
    assert kinds(rows, path) == {"exact_duplicate"}


def test_the_leakage_of_a_split_is_counted_by_class(
    photos: Path, audited: Callable[..., tuple[Rows, int]], tmp_path: Path
) -> None:
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    copy = photos / "Negative/mirrored.jpg"
    Image.open(sound(photos)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(copy, quality=90)
    lines = [f"{photos / name},x,{name},train" for name in names]
    lines.append(f"{copy},Negative,{copy.name},test")
    lines[-2] = lines[-2].replace(",train", ",test")
    (tmp_path / "split.csv").write_text("\n".join(["path,label,group,split", *lines]))
    rows, status = audited(photos, f"split_csv={tmp_path / 'split.csv'}")
    assert kinds(rows, copy) == {"near_duplicate", "leak"}
    assert status == 1
    leaks = json.loads((tmp_path / "audit/audit.json").read_text())["leakage"]["near_duplicate"]
    assert [(row["class_name"], row["leaked"], row["tested"]) for row in leaks] == [
        ("Negative", 1, 1),
        ("Positive", 0, 1),
    ]


def test_the_groups_of_an_audit_keep_copies_together(
    photos: Path, audited: Callable[..., tuple[Rows, int]], tmp_path: Path, trained: Callable[..., Path]
) -> None:
    copy = photos / "Negative/copy.jpg"
    Image.open(sound(photos)).rotate(180).save(copy, quality=90)
    audited(photos)
    for number, group_by in enumerate((str(tmp_path / "audit/groups.csv"), "near_duplicates")):
        run = trained(f"data.root={photos}", f"data.group_by={group_by}", "trainer.max_epochs=1", run=f"run{number}")
        with (run / "split.csv").open() as file:
            split = {row["path"]: row["split"] for row in csv.DictReader(file)}
        assert split[str(copy)] == split[str(sound(photos))]


def test_a_root_that_is_none_is_named(audited: Callable[..., tuple[Rows, int]], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data.root=.*nowhere is not a folder"):
        audited(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match="has no images"):
        audited(tmp_path / "bare")


def test_a_root_one_level_too_high_is_named(photos: Path, audited: Callable[..., tuple[Rows, int]]) -> None:
    shutil.copytree(photos, photos.parent / "unpacked/data")
    with pytest.raises(FileNotFoundError, match=r"they lie in .*unpacked/data: .*data.root=.*unpacked/data"):
        audited(photos.parent / "unpacked")


def test_a_picture_of_too_many_pixels_has_its_own_error(photos: Path, audited: Callable[..., tuple[Rows, int]]) -> None:
    Image.new("L", (200, 200)).save(photos / "Negative/large.png")
    rows, status = audited(photos, "max_megapixels=0.03")
    assert (status, "unreadable" in kinds(rows, photos / "Negative/large.png")) == (1, True)
    assert not kinds(rows, sound(photos))


def test_every_kind_is_explained() -> None:
    sections = [Section(kind, "note", 1, []) for kind in KINDS]
    assert rendered("audit.html", root="site", facts=[], sections=sections).count("</h2>\n<p>") == len(KINDS)
    with pytest.raises(UndefinedError, match="no attribute 'mould'"):
        rendered("audit.html", root="site", facts=[], sections=[Section("mould", "note", 1, [])])
