"""Exports in eight bits: what is quantised, and what it loses."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conftest import classifier, equal
from PIL import Image
from test_export import run_export, write_classifier
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from crack_lightning.engines.int8 import fine_layers
from crack_lightning.engines.pick import eager_engine, openvino_engine, relative_difference
from crack_lightning.errors import UserError
from crack_lightning.models.checkpoint import PREFIX, read_checkpoint
from crack_lightning.models.map_checkpoint import load_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


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


@pytest.mark.parametrize("size", [64, 224])
def test_layers_that_see_more_than_a_quarter_are_counted(size: int) -> None:
    # Of 224: the first (224), both of the first block (112), the first two of the second (112); its last sees 56.
    network = classifier("mobilenet_v2", size).eval()
    assert fine_layers(network.features, torch.zeros(1, 3, size, size)) == 5


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_export_in_eight_bits_says_what_it_lost(eight_bits: Path) -> None:
    described = json.loads((eight_bits / "model.json").read_text())
    lost = described["int8"]
    expected = {"pictures": "source", "calibrated_on": 20, "judged_on": 20, "max_loss": 0.99}
    assert {name: lost[name] for name in expected} == expected
    assert lost["lost"] == max(0, *(lost["before"][name] - lost["after"][name] for name in ("accuracy", "auroc", "f1")))
    card = (eight_bits / "model_card.md").read_text()
    assert "Eight bits, per channel, calibrated on 20 pictures (source) and judged on 20 others; " in card
    assert f"| auroc | {lost['before']['auroc']:.4f} | {lost['after']['auroc']:.4f} |" in card


@pytest.mark.slow
def test_what_loses_too_much_leaves_nothing(made: Path, surfaces: Path, pictures: Tensor, tmp_path: Path) -> None:
    kept = read_checkpoint(made)
    with torch.no_grad():
        seen = load_network(made).pooled(pictures)
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
        (
            {"sound": 10, "cracked": 20},
            r"source=.*: 30 pictures are too few to calibrate int8 on: it needs 32 at least",
        ),
        ({"sound": 32}, r"source=.*: all 32 pictures are sound; int8 needs pictures of both classes"),
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


def test_heads_of_former_versions_open_unless_of_eight_bits(made: Path, tmp_path: Path) -> None:
    content = torch.load(made, weights_only=True)
    for engine in ("float", "int8"):
        content["crack_classifier"]["facts"]["engine"] = engine
        torch.save(content, tmp_path / f"{engine}.ckpt")
    assert equal(load_network(tmp_path / "float.ckpt").state_dict(), load_network(made).state_dict())
    with pytest.raises(UserError, match=r"int8.ckpt cannot be used: its head was trained on features in eight bits"):
        load_network(tmp_path / "int8.ckpt")


def test_openvino_answers_many_threads_as_eager_does(made: Path, pictures: Tensor) -> None:
    pytest.importorskip("openvino")
    own = load_network(made)
    engine, batches = openvino_engine(own), pictures.split(3)
    with torch.no_grad(), ThreadPoolExecutor(8) as pool:
        found = torch.cat(list(pool.map(engine, batches * 3)))
        assert relative_difference(found, eager_engine(own)(pictures).repeat(3, 1)) < 1e-3
