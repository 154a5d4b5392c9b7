import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import classifier

from crack_lightning.models.checkpoint import (
    FACTS_KEY,
    PREFIX,
    checked_checkpoint,
    checkpoint_facts,
    read_checkpoint,
)
from crack_lightning.models.map_checkpoint import load_network


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("kept")
    model = classifier("mobilenet_v2", image_size=32)
    state = {PREFIX + name: tensor for name, tensor in model.state_dict().items()}
    torch.save({FACTS_KEY: checkpoint_facts(model, {}), "state_dict": state}, folder / "best.ckpt")
    return folder / "best.ckpt"


@pytest.fixture
def saved(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(kept, tmp_path))


def test_a_checkpoint_predicts_on_its_own(saved: Path) -> None:
    model, picture = load_network(saved), torch.rand(1, 3, 32, 32)
    assert model.image_size == 32
    assert not model.training
    kept = torch.load(saved, weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, kept[PREFIX + name]) for name, tensor in model.state_dict().items())
    again = load_network(saved)
    assert torch.equal(model.predict_proba(picture), again.predict_proba(picture)), "a head of its own each time"


def test_a_missing_checkpoint_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ckpt_path=.*gone.ckpt does not exist"):
        read_checkpoint(tmp_path / "gone.ckpt")
    with pytest.raises(FileNotFoundError, match=r"is a folder: name the file"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint_is_named(saved: Path, share: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"best.ckpt is damaged or no checkpoint at all"):
        read_checkpoint(saved)


def test_a_checkpoint_of_another_program_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "pytorch-lightning_version": "2.0"}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other.ckpt was not written by crack_lightning"):
        read_checkpoint(tmp_path / "other.ckpt")


def test_a_checkpoint_of_another_format_is_named(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content[FACTS_KEY]["format"] = 99
    torch.save(content, saved)
    with pytest.raises(ValueError, match=r"has format 99; this version reads 1"):
        read_checkpoint(saved)


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, legacy: bool) -> None:
    attack = Malicious(tmp_path / "attacked")
    if legacy:
        (tmp_path / "evil.ckpt").write_bytes(pickle.dumps(attack))
    else:
        torch.save({FACTS_KEY: attack}, tmp_path / "evil.ckpt")
    with pytest.raises(ValueError, match=r"evil.ckpt"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "attacked").exists()


NAN, INFINITE = float("nan"), float("inf")
FACTS: list[dict[str, object]] = [
    *({"temperature": value} for value in (NAN, 0.0, -1.0, INFINITE, 1e300, "1", None, [1.0])),
    *({"threshold": value} for value in (NAN, 2.0, -1.0, 0.0, True, "half")),
    *({"review_band": value} for value in ([0.9, 0.1], [NAN, 1.0], [0.1], "ab", 0.5, [0.0, 2.0])),
    *(
        {"class_names": value}
        for value in (["a", "a"], ["a"], [], "ab", None, ["a", 1], ["a", "b\x1b[2J"], [["a"], "b"])
    ),
    *({"positive_class": value} for value in ("other", None, 1)),
    *({"image_size": value} for value in (0, -1, 10**9, 180.5, "180", None, True)),
    *({"dropout": value} for value in (1.0, -0.1, NAN, "0", None)),
    *({"freeze": value} for value in (1, None, "yes")),
    *({"patch_px": value} for value in (0, -5, 1.5, "64", 10**9)),
    *({"mm_per_px": value} for value in (0.0, -1.0, NAN, INFINITE, "1")),
    *({"weights": value} for value in (None, [], {"name": 1}, {1: "x"})),
    *({"backbone": value} for value in (None, 1, "mobilenet_v22", ["mobilenet_v2"])),
    {"new_fact": 1},
]


REFUSED = r"ckpt_path=.*best.ckpt cannot be used: .*(another copy|train again)"


@pytest.fixture(scope="module")
def content(kept: Path) -> dict[str, Any]:
    """What a whole checkpoint holds. Not to be changed."""
    found: dict[str, Any] = torch.load(kept, weights_only=True)
    return found


@pytest.mark.parametrize("wrong", FACTS, ids=str)
def test_a_fact_that_cannot_be_one_is_refused_by_name(content: dict[str, Any], wrong: dict[str, object]) -> None:
    own = content[FACTS_KEY]
    with pytest.raises(ValueError, match=REFUSED):
        checked_checkpoint({**content, FACTS_KEY: {**own, "facts": {**own["facts"], **wrong}}}, "best.ckpt")


def test_a_file_with_such_a_fact_is_refused(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content[FACTS_KEY]["facts"].update(FACTS[0])
    torch.save(content, saved)
    with pytest.raises(ValueError, match=REFUSED):
        load_network(saved)


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE])
@pytest.mark.parametrize("name", ["head.weight", "features.0.0.weight", "pixel_std"])
def test_weights_that_are_no_numbers_are_refused(saved: Path, name: str, value: float) -> None:
    content = torch.load(saved, weights_only=True)
    content["state_dict"][PREFIX + name][0].fill_(value)
    torch.save(content, saved)
    with pytest.raises(ValueError, match=rf"best.ckpt cannot be used: classifier.{name} holds NaN or infinity"):
        load_network(saved)


def _without(content: dict[str, Any], *keys: str) -> None:
    for key in keys[:-1]:
        content = content[key]
    content.pop(keys[-1])


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no facts": lambda c: _without(c, FACTS_KEY, "facts"),
    "facts that are a list": lambda c: c[FACTS_KEY].update(facts=[]),
    "no provenance": lambda c: _without(c, FACTS_KEY, "provenance"),
    "no backbone": lambda c: _without(c, FACTS_KEY, "facts", "backbone"),
    "no weights": lambda c: _without(c, "state_dict"),
    "weights that are a list": lambda c: c.update(state_dict=[]),
    "no head": lambda c: _without(c, "state_dict", PREFIX + "head.weight"),
    "another shape": lambda c: c["state_dict"].update({PREFIX + "head.weight": torch.zeros(3, 7)}),
    "a number for a tensor": lambda c: c["state_dict"].update({PREFIX + "head.weight": 1.0}),
    "an unknown tensor": lambda c: c["state_dict"].update({PREFIX + "more": torch.zeros(1)}),
    "one number without end": lambda c: c["state_dict"].update(
        {PREFIX + "head.weight": torch.zeros(1).expand(2, 10**9)}
    ),
    "complex numbers": lambda c: c["state_dict"].update({PREFIX + "head.weight": torch.zeros(2, 1280) * 1j}),
    "a sparse tensor": lambda c: c["state_dict"].update({PREFIX + "head.weight": torch.zeros(2, 1280).to_sparse()}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_hold_together_is_refused_by_name(saved: Path, change: str) -> None:
    content = torch.load(saved, weights_only=True)
    CHANGES[change](content)
    torch.save(content, saved)
    with pytest.raises(ValueError, match=r"ckpt_path=.*best.ckpt"):
        load_network(saved)


def test_a_byte_that_changed_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1  # within the weights: torch would read it
    saved.write_bytes(data)
    with pytest.raises(ValueError, match=r"best.ckpt is damaged or no checkpoint at all \(checksum of"):
        load_network(saved)
