"""Exports that are not opened: each is named, and nothing of it is run."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import classifier, copied
from test_export import DECISION, run_export
from torch import Tensor, nn

from crack_lightning.engines.exports import open_export, open_own_torch, write_torch
from crack_lightning.engines.opening import opened_network
from crack_lightning.errors import UserError
from crack_lightning.evaluate import evaluate
from crack_lightning.explain import explain
from crack_lightning.models.exported import facts_of
from crack_lightning.runs.project.folder import map_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Compose = Callable[..., tuple[Any, Path]]
CODE = "__import__('pathlib').Path('{}').touch()"  # what leaves a file
PICTURE = torch.zeros(1, 3, 20, 30, dtype=torch.uint8)


@pytest.fixture(scope="module")
def made(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a classifier's exports for ONNX Runtime and OpenVINO. Not to be changed."""
    pytest.importorskip("openvino")
    return run_export(checkpoint, tmp_path_factory.mktemp("made") / "run", "format=onnx,openvino")


class Brightness(nn.Module):
    """A network that torch.export is done with soon."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return (self.gain * images.float().mean(dim=(2, 3))[:, :2]).softmax(dim=1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pt2 that says it is of a classifier. Not to be changed."""
    path = tmp_path_factory.mktemp("archive") / "model.pt2"
    write_torch(Brightness().eval(), path, facts_of(classifier("mobilenet_v2", 64)))  # type: ignore[arg-type]
    assert open_own_torch(path).run(PICTURE)[0].tolist() == [[0.5, 0.5]]
    return path


def refused(path: Path, reason: str) -> None:
    with pytest.raises(UserError, match=rf"^ckpt_path={re.escape(str(path))} {reason}"):
        open_export(path).run(PICTURE)


def test_an_export_has_one_engine_and_no_layers(made: Path, composed: Compose, surfaces: Path, tmp_path: Path) -> None:
    path = made / "model.onnx"
    calls: dict[str, Callable[[], object]] = {
        "exporting": lambda: run_export(path, tmp_path / "run"),
        "explaining": lambda: explain(*composed("explain", [f"ckpt_path={path}", f"source={surfaces}"])),
        "learning": lambda: map_of(opened_network(path), str(path)),
    }
    for what, call in calls.items():
        with pytest.raises(UserError, match=rf"^ckpt_path={path} is an export, and {what} needs the layers: give the"):
            call()
    with pytest.raises(UserError, match=r"^engine=folded: model\.onnx is an export, which one runtime computes; leave"):
        opened_network(path, engine="folded")


def test_other_class_folders_than_an_exports_are_named(made: Path, composed: Compose, tmp_path: Path) -> None:
    for name in ("no", "yes"):
        (tmp_path / "other" / name).mkdir(parents=True)
    options = [f"ckpt_path={made}/model.onnx", f"data.root={tmp_path}/other"]
    with pytest.raises(FileNotFoundError, match=r"^class Negative has no folder in .*: set .data.class_names=.no,yes."):
        evaluate(*composed("evaluate", options))
    with pytest.raises(UserError, match=r"^data\.class_names=\['no'\]: a name for each of Negative, Positive, in this"):
        evaluate(*composed("evaluate", [*options, "data.class_names=[no]"]))


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.bin", "model.pt2"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_cut_or_missing_file_is_named(made: Path, archive: Path, tmp_path: Path, name: str, kept: float) -> None:
    path = copied(made, tmp_path / "cut") / name
    shutil.copy(archive, path.parent)
    content = path.read_bytes()
    path.unlink()
    reason = "cannot be used: (there is no such file|model.bin, which has its weights, is not beside it)$"
    if kept:
        path.write_bytes(content[: int(kept * len(content))])
        reason = "(is|cannot be used: it is) damaged.*: export again$"
    refused(path.with_name(name.replace(".bin", ".xml")), reason)


@pytest.mark.parametrize(("name", "instead"), [("model.bin", "the .xml"), ("model.json", "the .onnx, .xml, .pt2 or")])
def test_a_part_of_an_export_is_not_the_export(made: Path, name: str, instead: str) -> None:
    path = made / name
    with pytest.raises(UserError, match=rf"^ckpt_path={path} is a part of an export: give {instead}.* beside it$"):
        opened_network(path)


def test_a_model_of_other_programs_is_named(made: Path, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "other")
    text = (folder / "model.xml").read_text()
    (folder / "model.xml").write_text(text.replace("crack_lightning", "another"))
    torch.export.save(torch.export.export(Brightness(), (PICTURE,)), folder / "model.pt2")
    for name in ("model.xml", "model.pt2"):
        refused(folder / name, "cannot be used: it was not exported by crack_lightning$")


def move_out(tensor: Any) -> None:
    """Have a tensor's numbers in a file."""
    moved = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, data_location=1)
    for key, value in {"location": "weights.bin", "offset": "0", "length": "8"}.items():
        moved.external_data.add(key=key, value=value)
    tensor.CopyFrom(moved)


def move_into_a_branch(model: Any) -> None:
    last, within = model.graph.initializer[-1], onnx.TensorProto()
    within.CopyFrom(last)
    last.CopyFrom(onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
    place = onnx.helper.make_tensor_value_info("found", within.data_type, list(within.dims))
    node, name, within.name = onnx.helper.make_node("Identity", ["within"], ["found"]), within.name, "within"
    move_out(within)
    branch = onnx.helper.make_graph([node], "branch", [], [place], initializer=[within])
    model.graph.node.insert(0, onnx.helper.make_node("If", ["yes"], [name], then_branch=branch, else_branch=branch))


def foreign_operator(model: Any) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("com.other", 1))
    model.graph.node[0].domain = "com.other"


def facts_with(**changes: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        entry = next(each for each in model.metadata_props if each.key == "crack_lightning")
        entry.value = json.dumps(json.loads(entry.value) | changes)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: model.ClearField("metadata_props"), "it was not exported by crack_lightning$"),
        (lambda model: move_out(model.graph.initializer[-1]), r"weights of it are in another file \(weights\.bin\), "),
        (move_into_a_branch, r"weights of it are in another file \(weights\.bin\)"),
        (foreign_operator, "it has operators of com.other, which are not ONNX's own: they are not run$"),
        (facts_with(format=2), r"what it says of itself cannot be used \(its format is not 1, which this version read"),
        (facts_with(decision=DECISION.facts() | {"class_names": [*"abc"]}), r".* \(class_names=.*: two names of print"),
    ],
    ids=["foreign", "outside", "outside, in a branch", "operator", "format", "decision"],
)
def test_an_odd_onnx_file_is_named(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime looks for numbers that are not within
    Path("weights.bin").write_bytes(bytes(8))
    model = onnx.load(made / "model.onnx")
    change(model)
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "odd.onnx", f"cannot be used: {reason}")


def pickled(_: bytes, marker: Path) -> bytes:
    return f"cposix\nsystem\n(Vtouch {marker}\ntR.".encode()


def in_graph(change: Callable[[Any, Any, Path], object]) -> Callable[[bytes, Path], bytes]:
    """Change the graph, or the signature, of what torch.export wrote."""

    def changed(content: bytes, marker: Path) -> bytes:
        module = json.loads(content)
        change(module["graph_module"]["graph"], module["graph_module"]["module_call_graph"][0]["signature"], marker)
        return json.dumps(module).encode()

    return changed


def foreign_target(graph: Any, *_: Any) -> None:
    graph["nodes"][-1]["target"] = "torch.hub.load"


def expression(graph: Any, _: Any, marker: Path) -> None:
    graph["tensor_values"]["images"]["sizes"][0]["as_expr"]["expr_str"] = CODE.format(marker)


def weight_name(content: bytes, marker: Path) -> bytes:
    # Stands between quotation marks in what is compiled.
    odd = f'training"), getattr(__import__("os"), "system")("touch {marker}"), ("'
    return content.replace(b'"gain"', json.dumps(odd).encode())


def enumeration(_: Any, signature: Any, marker: Path) -> None:
    (marker.parent / "of_another.py").write_text(f"open({str(marker)!r}, 'w').close()")
    context = json.dumps([{"__enum__": True, "fqn": "of_another:Kind", "name": "ONE"}])
    signature["in_spec"] = json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": []}])


def file_maker(graph: Any, _: Any, marker: Path) -> None:
    # One of torch's own operators.
    values = {"filename": {"as_string": str(marker)}, "shared": {"as_bool": True}, "size": {"as_int": 8}}
    node = {"name": "made", "target": "torch.ops.aten.from_file.default", "outputs": [{"as_tensor": {"name": "made"}}]}
    node["inputs"] = [{"name": name, "arg": value, "kind": 1} for name, value in values.items()]
    like = {"dtype": 7, "sizes": [{"as_int": 8}], "strides": [{"as_int": 1}]}
    graph["tensor_values"]["made"] = graph["tensor_values"]["images"] | like
    graph["nodes"].insert(0, graph["nodes"][0] | node)


def argument(_: Any, signature: Any, marker: Path) -> None:
    # It stands in the head of a function that is compiled, and in its body again.
    signature["forward_arg_names"] = [f'images=""" , x={CODE.format(marker)}):\n    pass #']


GRAPH, SAMPLES = "model/models/model.json", "model/data/sample_inputs/model.pt"
WEIGHTS, LIBRARY = "model/data/weights/model_weights_config.json", "model/data/aotinductor/model.so"


@pytest.mark.parametrize(
    ("member", "change", "reason"),
    [
        (SAMPLES, pickled, "its sample inputs are no plain data, and could run code: it is not opened$"),
        (WEIGHTS, lambda *_: b'{"use_pickle": true}', f"{WEIGHTS} in it names pickled objects, which can run code: it"),
        (LIBRARY, lambda *_: b"", f"it holds {LIBRARY}, which is not of an export of this project: it is not opened$"),
        (GRAPH, in_graph(foreign_target), ""),
        (GRAPH, in_graph(expression), ""),
        (GRAPH, in_graph(argument), ""),
        (".json", weight_name, ""),
        (GRAPH, in_graph(enumeration), ""),
        (GRAPH, in_graph(file_maker), ""),
    ],
    ids=["pickle", "use_pickle", "library", "operator", "expression", "argument", "weight", "enumeration", "file"],
)
def test_nothing_of_an_odd_archive_is_run(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str, change: Any, reason: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with zipfile.ZipFile(archive) as given, zipfile.ZipFile(tmp_path / "odd.pt2", "w") as odd:
        contents = {name: given.read(name) for name in given.namelist()}
        contents |= {LIBRARY: b""} if member == LIBRARY else {}
        for name, content in contents.items():
            odd.writestr(name, change(content, tmp_path / "marker") if name.endswith(member) else content)
    refused(tmp_path / "odd.pt2", f"cannot be used: {reason}")
    assert not (tmp_path / "marker").exists()
