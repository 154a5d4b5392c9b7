"""Models on a hub, which a server in this process stands for."""

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import classifier, compose_into, equal, rows
from fake_hub import TOKEN, FakeHub, Model

from crack_lightning.cli.options import options_of
from crack_lightning.engines.opening import opened_network
from crack_lightning.errors import UserError
from crack_lightning.export import export
from crack_lightning.models.safe_file import read_safe, write_safe
from crack_lightning.predict import predict
from crack_lightning.system.hub import local_file

pytest.importorskip("huggingface_hub")
pytest.importorskip("safetensors")
# httpx's of how the library itself sends a large file without xet.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
Compose = Callable[..., tuple[Any, Path]]


def connect(patch: pytest.MonkeyPatch, url: str, home: Path, token: str | None = TOKEN) -> None:
    """What HF_ENDPOINT and HF_HOME would do; the library reads these once, when another test may have imported it."""
    patch.setenv("HF_HUB_DISABLE_XET", "1")
    patch.delenv("HF_TOKEN", raising=False)
    if token is not None:
        patch.setenv("HF_TOKEN", token)
    from huggingface_hub import constants

    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as made:
        yield made


@pytest.fixture(autouse=True)
def _connected(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, hub.url, tmp_path / "hf")


@pytest.fixture(scope="module")
def exported(hub: FakeHub, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an export that went to hf://tester/map. Not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, hub.url, folder / "hf")
        options = [f"ckpt_path={checkpoint}", "push_to_hub=tester/map"]
        export(options_of(compose_into(folder / "run", "export", options)), folder / "run")
    return folder / "run"


@pytest.fixture
def push(composed: Compose, tmp_path: Path) -> Callable[..., Path]:
    """Push a network of random weights of a seed; the file of its tensors."""

    def run(name: str, *, seed: int = 0, private: bool = True) -> Path:
        torch.manual_seed(seed)
        write_safe(tmp_path / f"{seed}.safetensors", classifier("mobilenet_v3_small", 32), {})
        options = [f"ckpt_path={tmp_path}/{seed}.safetensors", "format=safetensors"]
        options += [f"push_to_hub={name}", f"private={private}"]
        export(*composed("export", options, run=f"export {seed}"))
        return tmp_path / f"{seed}.safetensors"

    return run


def test_a_push_brings_tensors_exports_facts_and_card(exported: Path, hub: FakeHub) -> None:
    model = hub.models["tester/map"]
    assert sorted(model.files) == [".gitattributes", "README.md", "model.json", "model.onnx", "model.safetensors"]
    for name, own in {"model.onnx": "model.onnx", "model.json": "model.json", "README.md": "model_card.md"}.items():
        assert model.files[name] == (exported / own).read_bytes()
    assert json.loads(model.files["model.json"])["files"].keys() == {"model.onnx"}
    # One commit of all files after the hub's own first one, and nothing of the staging left behind.
    assert len(model.commits) == 2
    assert sorted(path.name for path in exported.iterdir()) == ["model.json", "model.onnx", "model_card.md"]


def test_a_pushed_model_is_private_unless_told(exported: Path, hub: FakeHub, push: Callable[..., Path]) -> None:
    push("tester/open", private=False)
    assert (hub.models["tester/map"].private, hub.models["tester/open"].private) == (True, False)


def test_a_model_of_the_hub_predicts_as_its_checkpoint(
    exported: Path, composed: Compose, checkpoint: Path, surfaces: Path, tmp_path: Path
) -> None:
    tables = []
    for run, ckpt_path in {"local": checkpoint, "hub": "hf://tester/map"}.items():
        options = [f"ckpt_path={ckpt_path}", f"source={surfaces}/Positive", "engine=eager", "num_workers=1"]
        predict(*composed("predict", options, run=run))
        tables.append(rows(tmp_path / run / "predictions.csv"))
    assert len(tables[0]) == 20
    assert tables[0] == tables[1]


def test_a_safetensors_file_predicts_as_its_checkpoint(
    exported: Path, hub: FakeHub, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes(hub.models["tester/map"].files["model.safetensors"])
    pictures = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    of_file, of_checkpoint = opened_network(tmp_path / "model.safetensors"), opened_network(checkpoint)
    assert of_file.decision == of_checkpoint.decision
    assert torch.equal(of_file.predict_proba(pictures), of_checkpoint.predict_proba(pictures))


def test_a_revision_is_taken_though_a_later_exists(hub: FakeHub, push: Callable[..., Path]) -> None:
    first = read_safe(push("tester/two", seed=1))["state_dict"]
    revision = hub.models["tester/two"].head
    second = read_safe(push("tester/two", seed=2))["state_dict"]
    assert not equal(first, second)
    for name, tensors in {f"hf://tester/two@{revision}": first, "hf://tester/two": second}.items():
        assert equal(read_safe(local_file(name))["state_dict"], tensors)


def test_the_log_names_the_full_revision(
    exported: Path, hub: FakeHub, push: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crack_lightning")
    push("tester/logged")
    local_file("hf://tester/map")
    pushed, fetched = hub.models["tester/logged"].head, hub.models["tester/map"].head
    assert len(fetched) == 40
    assert f"on the hub as hf://tester/logged@{pushed}" in caplog.messages
    assert f"hf://tester/map is hf://tester/map@{fetched}" in caplog.messages


def test_a_model_that_is_not_there_is_named(hub: FakeHub) -> None:
    with pytest.raises(UserError, match=r"hf://tester/none cannot be fetched \(404 .*check the name and the network"):
        opened_network("hf://tester/none")


def test_a_revision_that_is_not_there_is_named(exported: Path) -> None:
    with pytest.raises(UserError, match=r"hf://tester/map@v9 cannot be fetched \(404 .*Revision Not Found"):
        opened_network("hf://tester/map@v9")


def test_a_model_of_other_programs_is_named(hub: FakeHub) -> None:
    hub.models["tester/other"] = Model(private=False)
    hub.models["tester/other"].add({"weights.bin": b""})
    with pytest.raises(UserError, match=r"hf://tester/other cannot be fetched \(404 .*Entry Not Found"):
        opened_network("hf://tester/other")


@pytest.mark.parametrize("name", ["hf://only", "hf://a/b/c", "hf://", "hf://a/b@"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"^ckpt_path={name}: hf://user/name, or hf://user/name@revision$"):
        opened_network(name)


@pytest.mark.parametrize("name", ["only", "a/b@main", "a/b/c"])
def test_nothing_is_pushed_to_what_is_no_name(push: Callable[..., Path], hub: FakeHub, name: str) -> None:
    before = set(hub.models)
    with pytest.raises(UserError, match=rf"^push_to_hub={name}: user/name, of letters"):
        push(name)
    assert set(hub.models) == before


@pytest.mark.parametrize("verb", ["fetch", "push"])
def test_a_machine_without_a_network_is_told_so(
    push: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    with socket.socket() as taken:  # bound, but nothing listens
        taken.bind(("127.0.0.1", 0))
        connect(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}", tmp_path / "hf")
        words = {"fetch": r"^hf://tester/map cannot be fetched \(", "push": r"^push_to_hub=tester/map: "}[verb]
        with pytest.raises(UserError, match=rf"{words}.*Connection refused"):
            opened_network("hf://tester/map") if verb == "fetch" else push("tester/map")


@pytest.mark.parametrize("verb", ["fetch", "push"])
@pytest.mark.parametrize("token", ["hf_wrong", None])
def test_a_wrong_token_is_told_but_not_shown(
    exported: Path,
    hub: FakeHub,
    push: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    token: str | None,
) -> None:
    connect(monkeypatch, hub.url, tmp_path / "hf", token)
    words = {"fetch": r"^hf://tester/map cannot be fetched \(.*401 ", "push": r"^push_to_hub=tester/map: .*401 "}[verb]
    with pytest.raises(UserError, match=words) as caught:
        opened_network("hf://tester/map") if verb == "fetch" else push("tester/map")
    assert "hf_wrong" not in str(caught.value)
    assert len(hub.models["tester/map"].commits) == 2


def test_a_push_that_fails_leaves_the_export(
    push: Callable[..., Path], hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, hub.url, tmp_path / "hf", "hf_wrong")
    with pytest.raises(UserError, match="The export is in the run folder; log in with `hf auth login`"):
        push("tester/late")
    made = sorted(path.name for path in (tmp_path / "export 0").iterdir())
    assert made == ["model.json", "model.safetensors", "model_card.md"]


@pytest.mark.parametrize("kept", [0, 7, 4000, -1])
def test_a_truncated_safetensors_file_is_refused_by_name(
    exported: Path, hub: FakeHub, tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(hub.models["tester/map"].files["model.safetensors"][:kept])
    with pytest.raises(UserError, match=rf"^ckpt_path={path} is damaged or no .*: use another copy$"):
        opened_network(path)


def test_a_missing_library_names_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r'huggingface_hub is not installed: pip install -e "\.\[hub\]"'):
        opened_network("hf://tester/map")
