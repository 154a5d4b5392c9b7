import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import classifier, copied, equal, metrics, tensors
from PIL import Image

from crack_lightning.cli.command import is_for_user
from crack_lightning.engines import pick as engines
from crack_lightning.features.build import FeatureExtractor

Train = Callable[..., Path]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many views each batch of the extractor held."""
    counts: list[int] = []
    step = FeatureExtractor.predict_step

    def counted(self: FeatureExtractor, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        counts.append(len(batch[0]))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(FeatureExtractor, "predict_step", counted)
    return counts


@pytest.mark.parametrize("engine", ["eager", "folded", "onnxruntime"])
def test_stored_features_train_as_live_ones_do(trained: Train, engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    live = metrics(trained("features=live", run="live"))
    cached = metrics(trained("features=cached", "features.views=2", f"features.engine={engine}", run="cached"))
    times = {"fit_seconds": 0.0}
    assert cached | times == pytest.approx(live | times, abs=1e-5)


def test_views_that_no_epoch_would_see_are_not_computed(trained: Train, computed: list[int]) -> None:
    trained("features.views=9", "trainer.max_epochs=2", run="a")
    assert sum(computed) == 2 * 28 + 6 + 6


def test_low_precision_trains_with_every_engine(trained: Train, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnxruntime")
    caplog.set_level("INFO")
    run = trained("features.engine=onnxruntime", "trainer.precision=bf16-mixed", "trainer.max_epochs=1")
    assert "features of mobilenet_v2 by onnxruntime" in caplog.text, "another engine took its place"
    low = metrics(run)["val/loss"]
    whole = metrics(trained("features.engine=onnxruntime", "trainer.max_epochs=1", run="whole"))["val/loss"]
    assert low == pytest.approx(whole, abs=0.02)


def test_fewer_views_than_epochs_are_gone_through_in_turn(trained: Train, computed: list[int]) -> None:
    trained("features.views=2", "trainer.max_epochs=3", run="a")
    assert sum(computed) == 2 * 28 + 6 + 6


def test_features_are_computed_once_and_again_for_changed_files_alone(
    trained: Train, surfaces: Path, tmp_path: Path, computed: list[int]
) -> None:
    root = copied(surfaces, tmp_path / "photos")
    run = [f"data.root={root}", "data.fractions=[0.5,0.25,0.25]", "trainer.max_epochs=1"]

    def newly_computed() -> int:
        computed.clear()
        trained(*run)
        return sum(computed)

    assert newly_computed() == 40
    assert newly_computed() == 0
    Image.new("RGB", (64, 64), "grey").save(root / "Positive/000001.jpg")
    assert newly_computed() == 1
    shutil.copy(root / "Positive/000003.jpg", root / "Positive/copied.jpg")
    # The copy is known where it is seen plainly; a training view depends on the name. A sample may change its split.
    assert newly_computed() <= 3
    (root / "Positive/copied.jpg").unlink()
    assert newly_computed() == 0


@pytest.mark.parametrize(
    "change", ["seed=1", "data.image_size=40", "features.dtype=float16", "data.rotation_degrees=5"]
)
def test_whatever_changes_the_features_has_them_computed_again(
    trained: Train, computed: list[int], change: str
) -> None:
    trained("trainer.max_epochs=1", run="a")
    before = sum(computed)
    trained("trainer.max_epochs=1", change, run="b")
    assert sum(computed) > before


@pytest.mark.parametrize("change", ["optimizer.lr=1e-2", "model.dropout=0.1", "data.batch_size=5", "optimizer=sgd"])
def test_a_sweep_of_the_head_shares_them(trained: Train, computed: list[int], change: str) -> None:
    trained("trainer.max_epochs=1", run="a")
    before = sum(computed)
    trained("trainer.max_epochs=1", change, run="b")
    assert sum(computed) == before


def test_resuming_on_stored_features_equals_an_unbroken_run(trained: Train) -> None:
    whole = trained("features.views=2", run="whole")
    half = trained("features.views=2", "trainer.max_epochs=1", run="half")
    resumed = trained(f"ckpt_path={half}/checkpoints/last.ckpt", "trainer.max_epochs=2", run="resumed", base=[])
    assert equal(tensors(whole / "checkpoints/last.ckpt"), tensors(resumed / "checkpoints/last.ckpt"))


def test_a_killed_build_goes_on_where_it_stopped(
    trained: Train, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = FeatureExtractor.predict_step

    def killed(self: FeatureExtractor, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if batch_idx == 3:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "predict_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            trained()
    computed.clear()
    trained()
    assert sum(computed) == 40 - 3 * 8


def test_an_engine_that_differs_is_not_used(
    trained: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folded = engines.folded_engine
    monkeypatch.setattr(engines, "folded_engine", lambda classifier: lambda images: 1.01 * folded(classifier)(images))
    wrong = metrics(trained("features.engine=folded", "features.views=2", run="wrong"))
    assert "features of folded differ by 1.0e-02" in caplog.text
    times = {"fit_seconds": 0.0}
    assert wrong | times == pytest.approx(metrics(trained("features=live", run="live")) | times, abs=1e-5)


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
