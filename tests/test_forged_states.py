"""States of callbacks that a stranger wrote: going on from them touches nothing but the run's own folder."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from crack_lightning.training.checkpoints import BestCheckpoint, numeric_states

OURS = ("EpochHistory", "BestCheckpoint", "EarlyStopping{'monitor': 'val/loss', 'mode': 'min'}")
LIGHTNINGS = (
    "ModelCheckpoint{'monitor': 'val/loss', 'mode': 'min', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
    "'train_time_interval': None}"
)
PLACES = [
    ("best_model_path", "local://{canaries}"),
    ("best_model_path", "{run}/checkpoints/../../canaries"),
    ("kth_best_model_path", "file://{canaries}/a"),
    ("last_model_path", "{canaries}/theirs.ckpt"),
    ("dirpath", "{canaries}"),
    ("best_model_path", "http://127.0.0.1:{port}/best.ckpt"),
    ("best_model_path", "hf://somebody/model"),
    ("kth_best_model_path", "reference::http://127.0.0.1:{port}/x"),
    ("stopping_reason_message", "http://127.0.0.1:{port}/x"),
    ("epochs", "{canaries}/a"),
]


@pytest.fixture
def heard() -> Iterator[tuple[int, list[bytes]]]:
    """A port, and what anybody asked of it."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(200))

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], asked


def forged(state: dict[str, Any], key: str, place: str) -> dict[str, Any]:
    """A state that names a place, as Lightning's ModelCheckpoint keeps them."""
    score = torch.tensor(9.0)
    return state | {"best_model_score": score, "best_model_path": place, "best_k_models": {place: score}, key: place}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("key", "place"), PLACES)
@pytest.mark.parametrize("name", [*OURS, "LastCheckpoint", LIGHTNINGS, "ModelCheckpoint", "OnExceptionCheckpoint"])
def test_no_place_in_a_state_is_handed_on(name: str, key: str, place: str) -> None:
    states = {"any": {"time_s": 3}, name: forged({"best_score": 1.0}, key, place)}
    if name in OURS:
        with pytest.raises(TypeError, match=r"holds more than numbers"):
            numeric_states(states)
    else:
        assert numeric_states(states) == {"any": {"time_s": 3}}


def test_of_a_former_state_the_best_score_is_taken() -> None:
    name = LIGHTNINGS.replace("ModelCheckpoint", "BestCheckpoint")
    ours = "BestCheckpoint{'monitor': 'val/loss', 'mode': 'min'}"
    assert BestCheckpoint().state_key == ours
    assert numeric_states({name: forged({}, "dirpath", "/theirs")}) == {ours: {"best_score": 9.0}}
    assert numeric_states({name: {"best_model_score": None, "best_model_path": "/theirs"}}) == {}


@pytest.mark.parametrize(("key", "place"), PLACES[:9])
@pytest.mark.parametrize("name", OURS)
def test_texts_among_numbers_are_left_out(name: str, key: str, place: str) -> None:
    state = {"wait_count": 1, "best_score": 0.5}
    assert numeric_states({name: state | {key: place}}) == {name: state}


@pytest.mark.parametrize("places", [PLACES[:5], PLACES[5:]], ids=["on the disk", "elsewhere"])
def test_going_on_touches_no_place_that_a_state_names(
    trained: Callable[..., Path],
    one_epoch: Path,
    tmp_path: Path,
    heard: tuple[int, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    places: list[tuple[str, str]],
) -> None:
    port, asked = heard
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    canaries = tmp_path / "canaries"
    canaries.mkdir()
    (canaries / "a").write_text("precious")
    (canaries / "theirs.ckpt").write_bytes((one_epoch / "checkpoints/last.ckpt").read_bytes())
    before = snapshot(canaries)
    modes = ("min", "max", "min", "max", "min")
    # Callbacks of Lightning's that a user has added, which remove and write to what their states name.
    added = [
        f"+callbacks.more{k}={{_target_: lightning.pytorch.callbacks.ModelCheckpoint, monitor: val/loss, mode: {mode}, "
        f"every_n_epochs: {k + 1}}}"
        for k, mode in enumerate(modes)
    ]
    content = torch.load(one_epoch / "checkpoints/last.ckpt", weights_only=True)
    for k, (mode, (key, place)) in enumerate(zip(modes, places, strict=True)):
        name = LIGHTNINGS.replace("'min'", f"'{mode}'").replace("'every_n_epochs': 1", f"'every_n_epochs': {k + 1}")
        content["callbacks"][name] = forged(
            {}, key, place.format(canaries=canaries, run=tmp_path / "second", port=port)
        )
    torch.save(content, tmp_path / "last.ckpt")
    trained(f"ckpt_path={tmp_path}/last.ckpt", "trainer.max_epochs=2", *added, run="second", base=[])
    assert snapshot(canaries) == before
    assert not asked


def test_no_checkpoint_keeps_a_text_of_ours(one_epoch: Path) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        states = torch.load(one_epoch / "checkpoints" / name, weights_only=True)["callbacks"]
        assert str(one_epoch) not in str(states)
        assert {type(value) for value in states[BestCheckpoint().state_key].values()} == {float}
