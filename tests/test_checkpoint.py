import os
import pickle
from pathlib import Path

import pytest
import torch
from test_backbones import classifier

from crack_lightning.models.checkpoint import (
    FACTS_KEY,
    PREFIX,
    checkpoint_facts,
    load_classifier,
    read_checkpoint,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = classifier("mobilenet_v2", image_size=32)
    state = {PREFIX + name: tensor for name, tensor in model.state_dict().items()}
    torch.save({FACTS_KEY: checkpoint_facts(model, {}), "state_dict": state}, tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


def test_a_checkpoint_predicts_on_its_own(saved: Path) -> None:
    model = load_classifier(saved)
    assert model.image_size == 32
    assert not model.training
    assert model.predict_proba(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


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
