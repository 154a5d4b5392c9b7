"""A checkpoint in other formats answers as it does itself, and says what it is."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from conftest import classifier, compose_into, equal, once
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import pil_to_tensor
from verbs import export

from crack_lightning.cli.command_line import as_given
from crack_lightning.cli.options import options_of
from crack_lightning.cli.verbs import options_class
from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.engines.exports import FILES, run_of
from crack_lightning.engines.resizing import resize
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patch_scores import judge_patches
from crack_lightning.inference.patches import Judging
from crack_lightning.models.checkpoint import FACTS_KEY, MAP_KEY, PREFIX, checkpoint_facts
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.map_checkpoint import load_network, write_map
from crack_lightning.models.taps import taps_of
from crack_lightning.runs.exporting import parity

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DECISION = Decision(("cracked", "sound"), "cracked", threshold=0.3, temperature=1.7, review_band=(0.2, 0.6))
SLOW = {"torch_export", "openvino"}
formats = pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in FILES if each != "safetensors"]
)


def with_statistics(features: nn.Module, pixels: Tensor) -> None:
    """Give random layers the statistics of some pictures: without, what they see fades from layer to layer."""
    for norm in (each for each in features.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.momentum = None  # the mean of all batches, of which there is one
    with torch.no_grad():
        features.train()(pixels)
    features.eval()


def write_classifier(path: Path, images: Tensor, **provenance: Any) -> Path:
    """A checkpoint of random weights whose probabilities of uint8 `images` (N, 3, 64, 64) are of all heights."""
    torch.manual_seed(0)
    made = classifier("mobilenet_v2", 64)
    made.decision, made.patch_px, made.mm_per_px = DECISION, 64, 0.5
    with_statistics(made.features, made.normalise(images))
    with torch.no_grad():
        made.head.weight.mul_(10)
        made.head.bias.sub_(made.eval()(images).mean(0))
    tensors = {f"{PREFIX}{name}": tensor for name, tensor in made.state_dict().items()}
    torch.save({FACTS_KEY: checkpoint_facts(made, provenance), "state_dict": tensors}, path)
    return path


def write_random_map(path: Path) -> Path:
    """A crack map whose head for cells and head for patches differ."""
    torch.manual_seed(0)
    channels = sum(tap.channels for tap in taps_of("mobilenet_v2"))
    levels = {"level": 0.4, "patch_level": 1.5, "patch_scale": 0.5, "mm_per_px": 0.8}
    made = CrackMap(backbone="mobilenet_v2", decision=DECISION, state_dict=None, bias=0.5, corrected=True, **levels)
    made.weight.copy_(0.05 * torch.randn(channels))
    made.patch_weight.copy_(0.05 * torch.randn(channels))
    torch.nn.init.normal_(made.correction.projection, std=0.05)
    with_statistics(made.features, torch.stack([pil_to_tensor(lesson(None, 0, k).image) for k in (0, 1)]) / 255 - 0.5)
    write_map(path, made, {"photographs": 3, "data_root": "/of/mine", "config": {"root": "/of/mine"}})
    return path


def run_export(checkpoint: Path, folder: Path, *words: str) -> Path:
    """What a user types into `export`, the run folder being `folder`."""
    given = as_given([f"ckpt_path={checkpoint}", *words], options_class("export"))
    export(options_of(compose_into(folder, "export", given)), folder)
    return folder


@pytest.fixture(scope="module")
def patches(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight patches of four sizes."""
    folder = tmp_path_factory.mktemp("patches")
    for number, path in enumerate(sorted(surfaces.rglob("*.jpg"))[::5]):
        size = [(64, 64), (97, 61), (33, 40), (200, 130)][number % 4]
        Image.open(path).resize(size).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def of_classifier(surfaces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a classifier's best.ckpt, and of model.onnx and model.safetensors of it. Not to be changed."""
    pytest.importorskip("safetensors")

    def make(folder: Path) -> None:
        folder.mkdir()
        images = torch.stack([pil_to_tensor(Image.open(path)) for path in sorted(surfaces.rglob("*.jpg"))])
        write_classifier(folder / "best.ckpt", images, seed=3, data_root="/photos", deep={"not": "plain"})
        run_export(folder / "best.ckpt", folder, "format=onnx,safetensors")

    return once(tmp_path_factory, "of_classifier", make)


@pytest.fixture(scope="session")
def of_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a crack map's best.ckpt, and of model.onnx and model.safetensors of it. Not to be changed."""

    def make(folder: Path) -> None:
        folder.mkdir()
        run_export(write_random_map(folder / "best.ckpt"), folder, "format=onnx, safetensors")

    return once(tmp_path_factory, "of_map", make)


FileOf = Callable[[Path, str], Path]


@pytest.fixture(scope="session")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> FileOf:
    """The file of a format of the checkpoint in a folder, exported once a session. Not to be changed."""

    def exported(made: Path, name: str) -> Path:
        pytest.importorskip({"torch_export": "torch"}.get(name, name))
        if name not in SLOW:
            return made / FILES[name]
        checkpoint, words = made / "best.ckpt", f"format={name}"
        folder = once(tmp_path_factory, f"{made.name}_{name}", lambda folder: run_export(checkpoint, folder, words))
        return folder / FILES[name]

    return exported


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(64, 64, 64), (64, 48, 32), (227, 301, 224), (5, 7, 224), (1, 40, 33), (40, 1, 32), (1, 1, 32), (3000, 200, 224)],
)
def test_resized_pictures_equal_those_of_torchvision(height: int, width: int, size: int) -> None:
    images = torch.randint(0, 256, (8, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = v2.Resize((size, size), v2.InterpolationMode.BILINEAR, antialias=True)(images)
    differ = (resize(images, size) - expected.float()).abs()
    assert differ.max() <= 1  # where a weight lies halfway between two numbers
    assert (differ > 0).float().mean() < 1e-5


@formats
def test_every_format_of_a_classifier_answers_as_it_does(
    of_classifier: Path, file_of: FileOf, patches: Path, name: str
) -> None:
    run, network = run_of(name, file_of(of_classifier, name)), load_network(of_classifier / "best.ckpt")
    paths = sorted(patches.iterdir())
    found = judge_patches(network, paths, Judging(4, 1, torch.device("cpu"), "eager"))
    expected = network.decision.probabilities(found.logits)
    assert expected[:, 0].max() - expected[:, 0].min() > 0.2
    answers = [run(pil_to_tensor(Image.open(path))[None])[0][0] for path in paths]
    torch.testing.assert_close(torch.stack(answers), expected, rtol=0, atol=1e-4)


@formats
def test_every_format_of_a_map_answers_as_it_does(of_map: Path, file_of: FileOf, name: str) -> None:
    run, network = run_of(name, file_of(of_map, name)), load_network(of_map / "best.ckpt")
    assert isinstance(network, CrackMap)
    image = lesson(None, 0, 4).image.resize((150, 101))
    answer = run(pil_to_tensor(image)[None])[1][0]
    for patches in (False, True):
        reader = CrackMapReader(network, engine="eager", patches=patches)
        own = reader.logits(reader.prepared(image))
        torch.testing.assert_close(answer[int(patches)], own, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_a_map_on_openvino_needs_no_setting(of_map: Path, file_of: FileOf) -> None:
    openvino = pytest.importorskip("openvino")
    path = file_of(of_map, "openvino")
    image = pil_to_tensor(lesson(None, 0, 4).image.resize((150, 101)))[None]
    compiled = openvino.Core().compile_model(path, "CPU")  # with bfloat16, where the processor has it
    expected = run_of("openvino", path)(image)
    for output, own in zip(compiled.outputs, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(compiled(image.numpy())[output]), own, rtol=1e-4, atol=1e-3)
    layers = list(ElementTree.parse(path).iterfind("layers/layer"))
    assert {layer.get("version") for layer in layers if layer.get("type") == "Interpolate"} == {"opset4"}
    assert all(layer.find("rt_info/attribute[@name='precise']") is not None for layer in layers)
    facts = json.loads((path.parent / "model.json").read_text())
    assert facts["settings"] == {"openvino": {"INFERENCE_PRECISION_HINT": "f32"}}
    assert "INFERENCE_PRECISION_HINT" in (path.parent / "model_card.md").read_text()


@pytest.mark.parametrize("kind", ["of_classifier", "of_map"])
def test_safetensors_hold_the_checkpoints_tensors(request: pytest.FixtureRequest, kind: str) -> None:
    from safetensors import safe_open

    folder = request.getfixturevalue(kind)
    expected = torch.load(folder / "best.ckpt", weights_only=True)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        (key,) = file.metadata().keys() & {FACTS_KEY, MAP_KEY}
        assert json.loads(file.metadata()[key])["facts"] == expected[key]["facts"]
    assert equal(found, expected["state_dict"])


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.xml", "model.bin", "model.pt2", "model.safetensors", "model.json"]
)
def test_an_export_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of an export")
    with pytest.raises(UserError, match=rf"^ckpt_path={tmp_path / name} is an export for other programs"):
        load_network(tmp_path / name)


@formats
def test_no_export_names_a_folder_of_its_machine(of_map: Path, file_of: FileOf, name: str) -> None:
    assert b"/of/mine" in (of_map / "best.ckpt").read_bytes()
    for path in file_of(of_map, name).parent.iterdir():  # others get these
        if path.name == "best.ckpt":
            continue
        assert b"/of/mine" not in path.read_bytes(), path.name
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch would keep where each layer was called from
                assert not [each for each in archive.namelist() if b".py" in archive.read(each)]


def test_a_second_export_replaces_the_files_of_the_first(of_classifier: Path, checkpoint: Path, tmp_path: Path) -> None:
    run_export(checkpoint, tmp_path / "run", "format=onnx,safetensors")
    folder = run_export(of_classifier / "best.ckpt", tmp_path / "run")
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.onnx", "model_card.md"]
    first, second = (json.loads((each / "model.json").read_text()) for each in (of_classifier, folder))
    assert (folder / "model.onnx").read_bytes() == (of_classifier / "model.onnx").read_bytes()
    assert second["files"] == {"model.onnx": first["files"]["model.onnx"]}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["format=onx"], r"format=onx: must be one of onnx, .*safetensors; did you mean onnx\?"),
        (["format=onnx,pt2export"], r"format=pt2export: must be one of .*; did you mean torch_export\?"),
        (["format=,"], r"format=,: must be one of onnx, .*, or several separated by commas"),
        (["precision=in8"], r"precision=in8: must be one of float32, int8; did you mean int8\?"),
        (
            ["precision=int8", "format=onnx,torch_export"],
            r"precision=int8 is available for onnx and openvino only, not for t",
        ),
        (["max_loss=1"], r"max_loss=1.0: must be a share of decisions, from 0 to below 1"),
        (["format=onnx,deepness"], r"format=deepness is available for crack maps only: a classifier judges whole p"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(checkpoint: Path, tmp_path: Path, words: list[str], text: str) -> None:
    with pytest.raises(UserError, match=rf"^{text}"):
        run_export(checkpoint, tmp_path / "run", *words)
    assert list((tmp_path / "run").iterdir()) == []


def test_nothing_is_left_of_what_differs(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", -1.0)  # so that no difference is small enough
    with pytest.raises(UserError, match=r"^onnx differs from the checkpoint by .* on pictures of .*: nothing is exp"):
        run_export(checkpoint, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
