"""What a .pt2 says is never run: its weights are taken, and nothing else."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import classifier
from test_export import run_export
from test_export_refusals import argument, enumeration, expression, file_maker, foreign_target, in_graph

from crack_lightning.engines.exports import open_export, write_torch
from crack_lightning.engines.portable import portable
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.exported import facts_of
from crack_lightning.models.map_checkpoint import write_map


@pytest.mark.slow
@pytest.mark.parametrize("change", [expression, argument, enumeration, file_maker, foreign_target])
def test_weights_are_taken_without_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Any, Path], object]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    network = classifier("mobilenet_v2", 64).eval()
    write_torch(portable(network), tmp_path / "own.pt2", facts_of(network) | {"provenance": {}})
    with zipfile.ZipFile(tmp_path / "own.pt2") as given, zipfile.ZipFile(tmp_path / "odd.pt2", "w") as odd:
        for name in given.namelist():
            content, marker = given.read(name), tmp_path / "marker"
            odd.writestr(name, in_graph(change)(content, marker) if name.endswith("models/model.json") else content)
        # Nor does what is written name folders: torch would keep where each layer was called from.
        assert not [name for name in given.namelist() if b".py" in given.read(name)]
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(open_export(tmp_path / "odd.pt2").run(images)[0], network.predict_proba(images))
    assert not (tmp_path / "marker").exists()


def test_no_export_names_a_folder_of_its_machine(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    network = CrackMap(backbone="mobilenet_v2", decision=Decision(("no", "yes"), "yes"), state_dict=None)
    write_map(tmp_path / "best.ckpt", network, {"data_root": "/of/mine", "config": {"root": "/of/mine"}})
    folder = run_export(tmp_path / "best.ckpt", tmp_path / "run", "format=safetensors")
    for path in folder.iterdir():  # a hub gets these
        assert b"/of/mine" not in path.read_bytes(), path.name
