import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from crack_lightning.data.audit.inventory import inventory
from crack_lightning.data.options import DataOptions
from crack_lightning.data.samples.groups import assign_groups
from crack_lightning.data.samples.layouts import LAYOUTS, layout_folders, recognise_layout
from crack_lightning.data.samples.listing import find_samples

PUBLISHED = ("D/UD", "D/CD", "P/UP", "P/CP", "W/UW", "W/CW")
SPELT_OUT = ("Decks/Non-cracked", "Decks/Cracked", "Walls/Non-cracked", "Walls/Cracked")
ONE_SURFACE = ("UD", "CD")
NAMES = ["Non-cracked", "Cracked"]


def laid_out(root: Path, folders: tuple[str, ...], surfaces: Path) -> Path:
    """Each folder with three tiles of each of two photographs."""
    tiles = sorted(surfaces.rglob("*.jpg"))
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for tile in range(6):
            source = tiles[(6 * number + tile) % len(tiles)]
            shutil.copy(source, root / folder / f"70{number}{tile % 2}-{tile}.jpg")
    return root


@pytest.mark.parametrize("folders", [PUBLISHED, SPELT_OUT, ONE_SURFACE], ids=["published", "spelt out", "one surface"])
def test_sdnet_is_read_as_it_unpacks(tmp_path: Path, surfaces: Path, folders: tuple[str, ...]) -> None:
    root = laid_out(tmp_path / "sdnet", folders, surfaces)
    samples = find_samples(root, NAMES, layout="sdnet2018", positive_class="Cracked")
    assert len(samples) == 6 * len(folders)
    for sample in samples:
        assert sample.label == sample.path.parent.name.startswith("C")
    assert recognise_layout(root, ["Negative", "Positive"]) == "sdnet2018"
    listed, findings = inventory(root, None, layout="sdnet2018")
    assert not findings
    assert {(each.class_name, each.path.parent.name[0] == "C") for each in listed} == {
        ("sound", False),
        ("cracked", True),
    }


def test_labels_follow_the_role_and_not_the_folder_name(tmp_path: Path, surfaces: Path) -> None:
    root = laid_out(tmp_path / "sdnet", ("D/UD", "D/CD"), surfaces)
    samples = find_samples(root, ["Positive", "Negative"], layout="sdnet2018", positive_class="Positive")
    assert {(sample.path.parent.name, sample.label) for sample in samples} == {("CD", 0), ("UD", 1)}


def test_tiles_of_one_photograph_of_one_surface_belong_together(tmp_path: Path, surfaces: Path) -> None:
    root = laid_out(tmp_path / "sdnet", PUBLISHED, surfaces)
    samples = find_samples(root, NAMES, layout="sdnet2018", positive_class="Cracked")
    groups = {sample.group for sample in assign_groups(samples, "photograph", layout="sdnet2018")}
    assert groups == {f"{folder[0]}/70{number}{k}" for number, folder in enumerate(PUBLISHED) for k in (0, 1)}


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (("good", "bad"), "is not laid out as sdnet2018: expected sound concrete in"),
        (("D/UD", "D/CD", "P/UP"), "P/CP is missing: "),
        (("D/UD", "D/CD", "Q"), "Q does not belong to sdnet2018"),
        (("D/UD", "D/CD", "D/UX"), "D/UX does not belong to sdnet2018"),
    ],
)
def test_folders_that_do_not_fit_are_named(tmp_path: Path, folders: tuple[str, ...], text: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(text)):
        layout_folders(tmp_path, "sdnet2018")
    assert {each.kind for each in inventory(tmp_path, None, layout="sdnet2018")[1]} <= {
        "missing_class",
        "undeclared_class",
    }


def test_an_unknown_layout_is_refused() -> None:
    known = "folders, table, masks, metu, sdnet2018"
    with pytest.raises(ValueError, match=rf"data.layout=cifar: must be one of {known}"):
        DataOptions(root="x", layout="cifar")


def test_names_without_a_photograph_give_no_photograph(tmp_path: Path, surfaces: Path) -> None:
    samples = find_samples(surfaces, ["Negative", "Positive"])
    with pytest.raises(ValueError, match=r"data.group_by=photograph: the names of data.layout=metu"):
        assign_groups(samples, "photograph", layout="metu")


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_is_ready_made_with_an_honest_split(configured: Callable[..., DictConfig], name: str) -> None:
    data = configured("train", [f"data={name}", "data.root=x"]).data
    assert data.layout == name
    assert data.group_by in ("photograph", "overlap")
    assert LAYOUTS[name].licence == "CC BY 4.0"


def test_training_on_sdnet_keeps_photographs_whole(
    trained: Callable[..., Path], tmp_path: Path, surfaces: Path
) -> None:
    root = laid_out(tmp_path / "sdnet", PUBLISHED, surfaces)
    run = trained("data=sdnet2018", f"data.root={root}", "trainer.max_epochs=1", "leakage=near_duplicates")
    rows = [line.rsplit(",", 2)[1:] for line in (run / "split.csv").read_text().splitlines()[1:]]
    splits: dict[str, set[str]] = {}
    for group, split in rows:
        splits.setdefault(group, set()).add(split)
    assert len(splits) == 12
    assert all(len(each) == 1 for each in splits.values())


def test_clusters_are_kept_and_recomputed_when_an_image_changes(tmp_path: Path, surfaces: Path) -> None:
    root = Path(shutil.copytree(surfaces, tmp_path / "photos"))
    cache = tmp_path / "cache"

    def look() -> int:
        assign_groups(find_samples(root, ["Negative", "Positive"]), "near_duplicates", cache=cache, workers=1)
        return len(list((cache / "groups").glob("*/groups.csv")))

    assert [look(), look()] == [1, 1]
    shutil.copy(root / "Negative/000000.jpg", root / "Negative/000002.jpg")
    assert look() == 2
