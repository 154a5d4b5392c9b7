"""What others find in an export: its axes, facts and card, and in onnxruntime-web, which browsers run, its answers."""

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import copied
from filelock import FileLock
from test_export import DECISION, run_export
from test_export import of_classifier as of_classifier
from test_export import of_map as of_map

from crack_lightning.errors import UserError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PACKAGE = "onnxruntime-web@1.30.0"
INSTALL_S, RUN_S = 300, 120
SCRIPT = """
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-web'
ort.env.wasm.numThreads = 1
const { model, pictures } = JSON.parse(readFileSync(0, 'utf8'))
const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] })
const answers = []
for (const { shape, bytes } of pictures) {
  const images = new ort.Tensor('uint8', new Uint8Array(Buffer.from(bytes, 'base64')), shape)
  const found = await session.run({ images })
  answers.push(session.outputNames.map(name => ({ shape: found[name].dims, values: [...found[name].data] })))
}
console.log(JSON.stringify(answers))
"""


@pytest.fixture(scope="module")
def script(pytestconfig: pytest.Config) -> Path:
    """A script beside the packages that it needs, which stay in pytest's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not there")
    folder = pytestconfig.cache.mkdir("onnxruntime-web")  # type: ignore[union-attr]
    with FileLock(folder / "lock"):
        if not (folder / "node_modules/onnxruntime-web").is_dir():
            line = ["npm", "install", PACKAGE, "--no-save", "--ignore-scripts", "--prefix", str(folder)]
            made = subprocess.run(line, capture_output=True, text=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL)
            if made.returncode:
                pytest.skip(f"{PACKAGE} cannot be installed: {made.stderr[-300:]}")
        (folder / "run.mjs").write_text(SCRIPT)
    return folder / "run.mjs"


def in_browser(script: Path, model: Path, pictures: list[np.ndarray]) -> list[list[np.ndarray]]:
    """All outputs for each batch of pictures."""
    given = [{"shape": each.shape, "bytes": base64.b64encode(each.tobytes()).decode()} for each in pictures]
    asked = json.dumps({"model": str(model), "pictures": given})
    line = ["node", script.name]
    done = subprocess.run(line, input=asked, cwd=script.parent, capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return [[np.array(each["values"]).reshape(each["shape"]) for each in answer] for answer in answers]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["of_classifier", "of_map"])
def test_a_browser_answers_as_onnx_runtime_does(script: Path, request: pytest.FixtureRequest, kind: str) -> None:
    model, rng = request.getfixturevalue(kind) / "model.onnx", np.random.default_rng(0)
    shapes = [(count, 3, height, width) for count in (1, 5) for height, width in ((64, 64), (75, 101))]
    pictures = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for images, found in zip(pictures, in_browser(script, model, pictures), strict=True):
        expected = session.run(None, {"images": images})
        assert [each.shape for each in found] == [each.shape for each in expected]
        for own, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(other, own, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def for_qgis(of_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a crack map for QGIS. Not to be changed."""
    return run_export(of_map / "best.ckpt", tmp_path_factory.mktemp("qgis") / "run", "format=deepness")


def axes(values: Any) -> list[tuple[str, str, list[Any]]]:
    return [(value.name, value.type, value.shape) for value in values]


def test_names_types_and_axes_are_fixed(of_classifier: Path, of_map: Path) -> None:
    first, second = (onnxruntime.InferenceSession(folder / "model.onnx") for folder in (of_classifier, of_map))
    pictures = [("images", "tensor(uint8)", ["batch", 3, "height", "width"])]
    assert axes(first.get_inputs()) == axes(second.get_inputs()) == pictures
    assert axes(first.get_outputs()) == [("probabilities", "tensor(float)", ["batch", 2])]
    cells = ["height/4", "width/4"]
    assert axes(second.get_outputs()) == [
        ("crack_map", "tensor(float)", ["batch", *cells]),
        ("logits", "tensor(float)", ["batch", 2, *cells]),
    ]


def metadata(path: Path) -> dict[str, Any]:
    """What an ONNX file says of itself, which ONNX's own checks pass."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    return {entry.key: json.loads(entry.value) for entry in model.metadata_props}


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("of_classifier", {"kind": "classifier", "image_size": 64, "patch_px": 64, "mm_per_px": 0.5}),
        ("of_map", {"kind": "crack_map", "level": 0.4, "patch_level": 1.5, "patch_scale": 0.5, "mm_per_px": 0.8}),
    ],
)
def test_a_file_says_what_its_checkpoint_knows(request: pytest.FixtureRequest, kind: str, facts: Any) -> None:
    folder = request.getfixturevalue(kind)
    described, said = json.loads((folder / "model.json").read_text()), metadata(folder / "model.onnx")
    facts = facts | {"decision": DECISION.facts(), "backbone": "mobilenet_v2", "precision": "float32", "format": 1}
    # Plain values, and no place on the machine that it was trained on.
    facts["provenance"] = {"seed": 3} if kind == "of_classifier" else {"photographs": 3}
    assert {name: said["crack_lightning"][name] for name in facts} == facts
    assert said["crack_lightning"].items() <= described.items()
    assert (said["class_names"], said["threshold"], said["opset"]) == (["cracked", "sound"], 0.3, 17)


@pytest.mark.parametrize("kind", ["of_classifier", "of_map"])
def test_hashes_are_of_the_files(request: pytest.FixtureRequest, kind: str) -> None:
    folder = request.getfixturevalue(kind)
    described = json.loads((folder / "model.json").read_text())
    own = sorted(path for path in folder.iterdir() if path.suffix in (".onnx", ".safetensors"))
    assert described["files"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in own}
    of_checkpoint = hashlib.blake2b((folder / "best.ckpt").read_bytes(), digest_size=16)
    assert described["checkpoint_hash"] == of_checkpoint.hexdigest()


@pytest.mark.slow
def test_deepness_is_told_what_it_asks_for(for_qgis: Path) -> None:
    keys = {"model_type": "Segmentor", "tile_size": 512, "tiles_overlap": 15, "seg_thresh": 0.5, "seg_small_segment": 0}
    named = {"class_names": {"0": "sound", "1": "cracked"}, "resolution": 0.08}
    assert metadata(for_qgis / "deepness.onnx") == keys | named
    session = onnxruntime.InferenceSession(for_qgis / "deepness.onnx")
    ((name, kind, shape),) = axes(session.get_inputs())
    assert (kind, shape[1:]) == ("tensor(float)", [3, 512, 512])
    (found,) = session.run(None, {name: np.full((1, 3, 512, 512), 0.5, np.float32)})
    assert (found.shape, found.dtype) == ((1, 1, 512, 512), np.float32)
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.slow
def test_the_card_shows_each_comparison(of_map: Path, for_qgis: Path) -> None:
    cards = [(folder / "model_card.md").read_text() for folder in (of_map, for_qgis)]
    card = "".join(each.rpartition("## Export")[2] for each in cards)
    lines = [line.split(" | ")[:3] for line in card.splitlines() if line.startswith(("| onnx |", "| deepness |"))]
    sizes = [("onnx", size) for size in ("256x256", "301x203", "512x384")] + [("deepness", "512x512")]
    assert lines == [[f"| {name}", size, batch] for name, size in sizes for batch in ("1", "5")]


def test_the_card_of_the_checkpoint_is_told_once(checkpoint: Path, tmp_path: Path) -> None:
    run = copied(checkpoint.parent.parent, tmp_path / "run")
    card = (run / "model_card.md").read_bytes()
    with pytest.raises(
        UserError, match=r"/run holds a model\.json or model_card\.md that is not from an export: give ano"
    ):
        run_export(run / "checkpoints/best.ckpt", run, "format=safetensors")
    assert (run / "model_card.md").read_bytes() == card
    for _ in range(2):
        run_export(run / "checkpoints/best.ckpt", run / "checkpoints", "format=safetensors")
    told = (run / "checkpoints/model_card.md").read_text()
    assert told.startswith(card.decode().rstrip() + "\n\n## Export\n")
    assert told.count("## Export") == 1


def test_an_export_beside_its_checkpoint_is_told_once(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoint, tmp_path)
    for _ in range(2):
        run_export(tmp_path / "best.ckpt", tmp_path, "format=safetensors")
    assert (tmp_path / "model_card.md").read_text().count("## Export") == 1
