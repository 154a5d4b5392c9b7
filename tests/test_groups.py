import re
from pathlib import Path

import pytest

from crack_lightning.data.samples.groups import assign_groups
from crack_lightning.data.samples.listing import Sample

ROOT = Path("/photos")
NAMES = [
    "Cracked/site a/7001-1.jpg",
    "Cracked/site a/7001-2.jpg",
    "Cracked/site b/7002-1.jpg",
    "Sound/site a/7001-3.jpg",
]
SAMPLES = [Sample(ROOT / name, int(name.startswith("Cracked")), name, name) for name in NAMES]


def groups(group_by: str) -> list[str]:
    return [sample.group for sample in assign_groups(SAMPLES, group_by)]


def test_by_file_every_image_stands_alone() -> None:
    assert groups("file") == NAMES


def test_grouping_by_folder_joins_one_place_across_both_classes() -> None:
    assert groups("folder") == ["site a", "site a", "site b", "site a"]


def test_by_pattern_what_it_captures_is_the_group() -> None:
    assert groups(r"(\d+)-\d+\.jpg$") == ["7001", "7001", "7002", "7001"]
    assert groups(r"(site .)/(\d+)") == ["site a/7001", "site a/7001", "site b/7002", "site a/7001"]


def test_by_table_paths_below_the_root_or_whole_ones(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    lines = [f'"{NAMES[0]}",x', f'"{NAMES[1]}",x', f'"{ROOT / NAMES[2]}",y', f'"{NAMES[3]}",z']
    table.write_text("\n".join(["path,group", *lines]))
    assert groups(str(table)) == ["x", "x", "y", "z"]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\d+-\d+", "has no group in brackets"),
        ("photgraph", "did you mean photograph?"),
        (r"(\d+", "nor a regular expression"),
        (r"(site b)", "is not found in 3 of 4 paths: /photos/Cracked/site a/7001-1.jpg"),
        (r"(700)", "puts all 4 images into one group (700)"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        groups(pattern)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["file,group"], "needs columns path and group; it has file, group"),
        (["path,group", *(f"{name},x" for name in NAMES[:2])], "has no group for 2 of 4 images: Cracked/site b"),
        (
            ["path,group", *(f"{name},x" for name in [*NAMES, "gone.jpg"])],
            "names 1 files that are not among the images: gone",
        ),
        (["path,group", f"{NAMES[0]},x", f"{NAMES[0]},y"], "twice (line 3)"),
        (["path,group", f"{NAMES[0]},"], "no group (line 2)"),
        (["path,group", *(f"{name},x" for name in NAMES)], "into one group (x)"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, lines: list[str], text: str) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=re.escape(text)):
        groups(str(table))


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}/no.csv does not exist")):
        groups(f"{tmp_path}/no.csv")
