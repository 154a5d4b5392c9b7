from pathlib import Path
from typing import Any

import pytest
import torch

from crack_lightning.models.checkpoint import read_checkpoint
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.map_checkpoint import load_network, write_map


@pytest.fixture
def network() -> CrackMap:
    decision = Decision(("sound", "cracked"), "cracked", threshold=0.4)
    weight = torch.randn(552).tolist()
    return CrackMap(backbone="mobilenet_v2", decision=decision, state_dict=None, weight=weight, level=1.5)


def test_a_map_is_equal_after_its_file(network: CrackMap, tmp_path: Path) -> None:
    write_map(tmp_path / "a/best.ckpt", network, {"photographs": 3})
    found = load_network(tmp_path / "a/best.ckpt")
    assert isinstance(found, CrackMap)
    assert (found.decision, found.facts()) == (network.decision, network.facts())
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    assert torch.equal(found(images, found.rows()), network(images, network.rows()))


def test_a_map_of_an_earlier_version_is_read_without_a_correction(network: CrackMap, tmp_path: Path) -> None:
    write_map(tmp_path / "map.ckpt", network, {})
    kept = torch.load(tmp_path / "map.ckpt", weights_only=True)
    kept["crack_map"]["format"] = 1
    del kept["crack_map"]["facts"]["corrected"]
    kept["crack_map"]["facts"]["small_level"] = 1.0
    torch.save(kept, tmp_path / "map.ckpt")
    found = load_network(tmp_path / "map.ckpt")
    assert isinstance(found, CrackMap)
    assert (found.correction, found.level) == (None, network.level)
    assert torch.equal(found.weight, network.weight)


def test_a_classifier_is_loaded_as_one(checkpoint: Path) -> None:
    assert isinstance(load_network(checkpoint), CrackClassifier)


def test_a_map_is_refused_where_a_classifier_is_needed(network: CrackMap, tmp_path: Path) -> None:
    write_map(tmp_path / "map.ckpt", network, {})
    with pytest.raises(ValueError, match=r"map\.ckpt is a crack map, .* a classifier is needed"):
        read_checkpoint(tmp_path / "map.ckpt")


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("level", float("nan"), "level=nan is not a number"),
        ("patch_scale", -1.0, "patch_scale=-1.0: must be above 0"),
        ("backbone", "swin_t", "cannot carry"),
        ("mm_per_px", -1, "mm_per_px=-1: must be above 0"),
        ("corrected", 1, "corrected=1: must be true or false"),
        ("decision", {}, "cannot be used"),
        ("more", 1, "its facts must be exactly"),
    ],
)
def test_an_odd_fact_is_refused(network: CrackMap, tmp_path: Path, part: str, value: Any, text: str) -> None:
    write_map(tmp_path / "map.ckpt", network, {})
    kept = torch.load(tmp_path / "map.ckpt", weights_only=True)
    kept["crack_map"]["facts"][part] = value
    torch.save(kept, tmp_path / "map.ckpt")
    with pytest.raises(ValueError, match=text):
        load_network(tmp_path / "map.ckpt")


def test_weights_that_are_none_are_refused(network: CrackMap, tmp_path: Path) -> None:
    write_map(tmp_path / "map.ckpt", network, {})
    kept = torch.load(tmp_path / "map.ckpt", weights_only=True)
    kept["state_dict"]["weight"][3] = torch.inf
    torch.save(kept, tmp_path / "map.ckpt")
    with pytest.raises(ValueError, match="weight holds NaN or infinity"):
        load_network(tmp_path / "map.ckpt")
