import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, classifier, copied, metrics
from lightning.pytorch import seed_everything
from omegaconf import DictConfig
from PIL import Image

from crack_lightning.cli.messages import is_for_user
from crack_lightning.cli.options import options_of
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.samples.presplit import SPLITS
from crack_lightning.engines import pick as engines
from crack_lightning.features.build import FeatureExtractor, open_store
from crack_lightning.features.module import FeatureModule
from crack_lightning.features.store import RECORD
from crack_lightning.system.cache import cache_folder

Train = Callable[..., Path]
Lacking = Callable[..., dict[str, set[tuple[str, int]]]]


def kept(cache: Path) -> int:
    """How many rows of features lie in a cache."""
    return sum(path.stat().st_size // RECORD.itemsize for path in cache.rglob("*.keys"))


@pytest.fixture
def lacking(configured: Callable[..., DictConfig], surfaces: Path, tmp_path: Path) -> Lacking:
    """By split, the stores and the keys of what a run would compute; its backbone has the same weights each time."""

    def features(*overrides: str) -> dict[str, set[tuple[str, int]]]:
        options = options_of(configured("train", [*TINY, f"data.root={surfaces}", *overrides]))
        cache = cache_folder(options.cache_dir)
        data = CrackDataModule(options.data, seed=options.seed, cache_dir=options.cache_dir)
        data.setup()
        seed_everything(0, verbose=False)
        network = classifier(options.model.backbone, options.data.image_size, dropout=options.model.dropout)
        kind, precision = options.features, str(options.trainer.precision)
        store = open_store(cache, network, data, dtype=kind.dtype, precision=precision)
        views = min(kind.views, options.trainer.max_epochs)
        wanted = FeatureModule(data, store, views=views, identity=kind.identity).missing()
        return {split: {(store.folder.name, each.key) for each in wanted if each.split == split} for split in SPLITS}

    return features


@pytest.mark.parametrize("engine", ["eager", "folded", "onnxruntime"])
def test_stored_features_train_as_live_ones_do(trained: Train, two_live_epochs: Path, engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    live = metrics(two_live_epochs)
    cached = metrics(trained("features=cached", "features.views=2", f"features.engine={engine}", run="cached"))
    times = {"fit_seconds": 0.0}
    assert cached | times == pytest.approx(live | times, abs=1e-5)


def test_views_that_no_epoch_would_see_are_not_computed(trained: Train, tmp_path: Path) -> None:
    trained("features.views=9", "trainer.max_epochs=2", run="a")
    assert kept(tmp_path / "cache") == 2 * 28 + 6 + 6


def test_low_precision_trains_with_every_engine(
    trained: Train, one_epoch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnxruntime")
    caplog.set_level("INFO")
    run = trained("features.engine=onnxruntime", "trainer.precision=bf16-mixed", "trainer.max_epochs=1")
    assert "features of mobilenet_v2 by onnxruntime" in caplog.text, "another engine took its place"
    assert metrics(run)["val/loss"] == pytest.approx(metrics(one_epoch)["val/loss"], abs=0.02)


def test_fewer_views_than_epochs_are_gone_through_in_turn(trained: Train, tmp_path: Path) -> None:
    trained("features.views=2", "trainer.max_epochs=3", run="a")
    assert kept(tmp_path / "cache") == 2 * 28 + 6 + 6


def test_features_are_computed_once_and_again_for_changed_files_alone(
    trained: Train, lacking: Lacking, surfaces: Path, tmp_path: Path
) -> None:
    root = copied(surfaces, tmp_path / "photos")
    run = [f"data.root={root}", "data.fractions=[0.5,0.25,0.25]", "trainer.max_epochs=1"]

    def missing() -> int:
        return sum(map(len, lacking(*run).values()))

    assert missing() == 40
    trained(*run)
    assert (missing(), kept(tmp_path / "cache")) == (0, 40)
    Image.new("RGB", (64, 64), "grey").save(root / "Positive/000001.jpg")
    assert missing() == 1
    shutil.copy(root / "Positive/000003.jpg", root / "Positive/copied.jpg")
    # The copy is known where it is seen plainly; a training view depends on the name. A sample may change its split.
    assert missing() <= 4
    (root / "Positive/copied.jpg").unlink()
    assert missing() == 1
    trained(*run)
    assert (missing(), kept(tmp_path / "cache")) == (0, 41)


@pytest.mark.parametrize(
    "change", ["seed=1", "data.image_size=40", "features.dtype=float16", "data.rotation_degrees=5"]
)
def test_whatever_changes_the_features_of_training_changes_their_keys(lacking: Lacking, change: str) -> None:
    before, after = lacking()["train"], lacking(change)["train"]
    assert len(before) == len(after) == 28
    assert not before & after


HEAD = ["optimizer.lr=1e-2", "model.dropout=0.1", "data.batch_size=5", "optimizer=sgd"]


@pytest.mark.parametrize("change", HEAD)
def test_what_changes_the_head_alone_changes_no_key(lacking: Lacking, change: str) -> None:
    assert lacking(change) == lacking()


def test_a_sweep_of_the_head_shares_the_features(trained: Train, one_epoch: Path, tmp_path: Path) -> None:
    cache = copied(one_epoch.with_suffix(".cache"), tmp_path / "kept")
    assert kept(cache) == 40
    trained("trainer.max_epochs=1", f"cache_dir={cache}", *HEAD)
    assert kept(cache) == 40


def test_a_killed_build_goes_on_where_it_stopped(
    trained: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    step = FeatureExtractor.predict_step

    def killed(self: FeatureExtractor, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if batch_idx == 3:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "predict_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            trained("trainer.max_epochs=1")
    assert kept(tmp_path / "cache") == 3 * 8
    trained("trainer.max_epochs=1")
    assert kept(tmp_path / "cache") == 40
    assert f"computing the features of {40 - 3 * 8} views" in caplog.text


def test_an_engine_that_differs_is_not_used(
    trained: Train, two_live_epochs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folded = engines.folded_engine
    monkeypatch.setattr(engines, "folded_engine", lambda classifier: lambda images: 1.01 * folded(classifier)(images))
    wrong = metrics(trained("features.engine=folded", "features.views=2", run="wrong"))
    assert "folded is not used: its features differ by 1.0e-02" in caplog.text
    times = {"fit_seconds": 0.0}
    assert wrong | times == pytest.approx(metrics(two_live_epochs) | times, abs=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_low_precision_is_compared_as_such(precision: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    pictures = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        engine = engines.pick_engine(classifier("mobilenet_v2").eval(), "folded", pictures)
        assert engine(pictures).shape == (4, 1280)
    assert "features of mobilenet_v2 by folded" in caplog.text


def test_an_engine_that_is_not_installed_names_its_pip_line(trained: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not there
    with pytest.raises(ModuleNotFoundError, match=r"engine=onnxruntime needs .*: pip install onnx") as caught:
        trained("features.engine=onnxruntime")
    assert is_for_user(caught.value)


def test_a_cache_that_fails_is_named_with_the_remedy(trained: Train, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"cannot be made \(Not a directory\): give another cache_dir=FOLDER") as caught:
        trained(f"cache_dir={tmp_path}/file")
    assert is_for_user(caught.value)
