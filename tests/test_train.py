import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from conftest import copied, equal, metrics, rows, tensors
from lightning.pytorch import Trainer
from PIL import Image

from crack_lightning.cli.messages import message
from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.data.images.reading import read_image
from crack_lightning.models.checkpoint import read_checkpoint
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.training.checkpoints import BestCheckpoint, LastCheckpoint, checkpoint_to_test
from crack_lightning.training.task import CrackTask

PROMISED_METRICS = {
    "test/accuracy",
    "test/precision",
    "test/recall",
    "test/f1",
    "test/auroc",
    "test/average_precision",
    "test/loss",
    "val/accuracy",
    "val/loss",
    "epochs",
    "fit_seconds",
    "test/ece",
    "test/brier",
    "test/accuracy_low",
    "test/accuracy_high",
    "val/ece",
    "val/ece_uncalibrated",
    "temperature",
    "threshold",
    "split/test_images_with_a_copy_in_training",
}
FIGURES = {
    "learning_curves",
    "confusion_matrix",
    "roc",
    "precision_recall",
    "predictions",
    "worst_errors",
    "reliability",
    "architecture",
}


def test_a_run_writes_what_is_promised(trained: Callable[..., Path], surfaces: Path, tmp_path: Path) -> None:
    """Of names that are no text too."""
    root = copied(surfaces, tmp_path / "photos")
    for path in sorted(root.rglob("*.jpg"))[::3]:
        path.rename(path.with_name(os.fsdecode(b"Br\xfccke\r$_") + path.name))
    folder = trained(f"data.root={root}", "figures=true", "logger=tensorboard")
    assert metrics(folder).keys() >= PROMISED_METRICS
    assert metrics(folder)["epochs"] == 2
    assert {path.stem for path in (folder / "figures").glob("*.png")} == FIGURES
    assert "max_epochs: 2" in (folder / "config.yaml").read_text()
    split, predictions = rows(folder / "split.csv"), rows(folder / "predictions.csv")
    assert {row["path"] for row in split} == {str(path) for path in root.rglob("*.jpg")}
    assert len(split) == 40
    assert [row["path"] for row in predictions] == [row["path"] for row in split if row["split"] == "test"]
    assert predictions[0].keys() == {"path", "label", "predicted", "probability", "review"}
    for row in predictions:
        assert row["predicted"] == ("Positive" if float(row["probability"]) >= 0.5 else "Negative")
    right = sum(row["label"] == row["predicted"] for row in predictions)
    assert metrics(folder)["test/accuracy"] == pytest.approx(right / len(predictions))
    assert not list(folder.rglob(".*.partial")), "partial files are left"


def test_what_another_run_left_in_the_folder_is_not_tested(one_epoch: Path) -> None:
    callbacks = [BestCheckpoint(), LastCheckpoint()]
    trainer = cast(Trainer, SimpleNamespace(callbacks=callbacks, default_root_dir=one_epoch))
    assert checkpoint_to_test(trainer) is None
    callbacks[1].is_saved = True
    assert checkpoint_to_test(trainer) == one_epoch / "checkpoints/last.ckpt"


def test_two_runs_of_one_seed_are_equal_bit_for_bit(trained: Callable[..., Path], two_epochs: Path) -> None:
    first, second = two_epochs, trained("seed=0", run="b")
    assert equal(tensors(first / "checkpoints/last.ckpt"), tensors(second / "checkpoints/last.ckpt"))
    times = {"fit_seconds": 0.0}
    assert metrics(first) | times == metrics(second) | times
    other = trained("seed=1", run="c")
    assert not equal(tensors(first / "checkpoints/last.ckpt"), tensors(other / "checkpoints/last.ckpt"))


def test_the_checkpoint_predicts_on_its_own(trained: Callable[..., Path]) -> None:
    folder = trained("data.positive_class=Negative")
    classifier = load_network(folder / "checkpoints/best.ckpt")
    decision = classifier.decision
    assert (decision.class_names, decision.positive_class) == (("Negative", "Positive"), "Negative")
    assert classifier.image_size == 32
    assert not classifier.training
    assert classifier.weights["name"] == "null"
    kept = tensors(folder / "checkpoints/best.ckpt")
    assert all(torch.equal(tensor, kept[f"classifier.{name}"]) for name, tensor in classifier.state_dict().items())
    row = rows(folder / "predictions.csv")[0]
    picture = plain_transform(32)(read_image(Path(row["path"])))
    probability = classifier.predict_proba(picture[None])[0, 0].item()
    assert float(row["probability"]) == pytest.approx(probability, abs=1e-5)
    provenance = read_checkpoint(folder / "checkpoints/best.ckpt")["crack_classifier"]["provenance"]
    assert provenance["images"] == {"train": 28, "val": 6, "test": 6}


@pytest.mark.slow
def test_only_an_unfrozen_backbone_changes_in_training(trained: Callable[..., Path]) -> None:
    for freeze in (True, False):
        one = tensors(trained(f"model.freeze={freeze}", "trainer.max_epochs=1", run="1") / "checkpoints/last.ckpt")
        two = tensors(trained(f"model.freeze={freeze}", "trainer.max_epochs=2", run="2") / "checkpoints/last.ckpt")
        backbone = [key for key in one if "features" in key]
        assert all(torch.equal(one[key], two[key]) for key in backbone) is freeze
        assert not torch.equal(one["classifier.head.weight"], two["classifier.head.weight"])


def test_a_nan_loss_stops_the_run_and_keeps_its_checkpoint(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = CrackTask._loss_and_probabilities

    def poisoned(task: CrackTask, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        loss, probability, target = step(task, batch)
        return loss * (float("nan") if task.global_step >= 6 else 1.0), probability, target

    monkeypatch.setattr(CrackTask, "_loss_and_probabilities", poisoned)
    with pytest.raises(ValueError, match=r"loss is nan at training step 6 \(epoch 2\).*last good checkpoint"):
        trained("data.fractions=[0.6,0.2,0.2]", "data.batch_size=5")
    head = load_network(tmp_path / "run/checkpoints/last.ckpt").head.weight
    assert torch.isfinite(head).all()


def test_unreadable_images_are_skipped_and_listed(trained: Callable[..., Path], surfaces: Path, tmp_path: Path) -> None:
    root = copied(surfaces, tmp_path / "photos")
    bad = root / "Positive/000001.jpg"
    bad.write_bytes(bad.read_bytes()[:400])
    with pytest.raises(ValueError, match=r"000001\.jpg"):
        trained(f"data.root={root}", run="raise")
    folder = trained(f"data.root={root}", "data.on_error=skip", run="skip")
    assert [row["path"] for row in rows(folder / "unreadable.csv")] == [str(bad)]
    assert len(rows(folder / "split.csv")) == 39


def test_an_image_found_broken_only_by_decoding_is_named(
    trained: Callable[..., Path], surfaces: Path, tmp_path: Path
) -> None:
    root = copied(surfaces, tmp_path / "photos")
    bad = root / "Positive/broken.png"
    Image.effect_noise((64, 64), 50).save(bad)
    data = bytearray(bad.read_bytes())
    data[len(data) // 2] ^= 255  # header and end are right
    bad.write_bytes(data)
    for workers, features in ((0, "live"), (1, "live"), (1, "cached")):
        with pytest.raises(ValueError, match=r"broken.png cannot be decoded") as caught:
            trained(f"data.root={root}", f"data.num_workers={workers}", f"features={features}")
        assert "Traceback" not in message(caught.value)


def test_more_pixels_than_are_allowed_are_refused(trained: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"4096 pixels are more than max_megapixels=0.004 allows"):
        trained("data.max_megapixels=0.004")


def test_the_history_is_whole_after_an_early_best_epoch(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = CrackTask._loss_and_probabilities

    def worse_later(task: CrackTask, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        loss, probability, target = step(task, batch)
        return loss + task.current_epoch, probability, target

    monkeypatch.setattr(CrackTask, "_loss_and_probabilities", worse_later)
    found = metrics(trained("trainer.max_epochs=3"))
    assert (found["epochs"], found["best_epoch"]) == (3, 1)
    assert found["val/loss"] < 1


@pytest.mark.slow
def test_the_tensorboard_file_holds_what_is_promised(trained: Callable[..., Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = trained("logger=tensorboard", "figures=true", "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    tags = events.Tags()
    assert {"train/loss", "val/loss", "val/f1", "test/auroc"} <= set(tags["scalars"])
    assert {"train/augmented", "test/confusion_matrix", "test/predictions"} <= set(tags["images"])
    assert "test/precision_recall" in tags["tensors"]
    assert tags["graph"]
    assert any(tag.startswith("_hparams_/session_start_info") for tag in events.summary_metadata)
    assert len(events.Scalars("val/loss")) == 1, "the final metrics are drawn into the curve"
    assert "final/test/accuracy" in tags["scalars"]


def test_the_training_split_of_a_presplit_root_is_its_folder(
    trained: Callable[..., Path], surfaces: Path, tmp_path: Path
) -> None:
    root = tmp_path / "photos"
    for split in ("train", "val", "test"):
        copied(surfaces, root / split)
    folder = trained(f"data.root={root}", "trainer.max_epochs=1")
    for row in rows(folder / "split.csv"):
        assert Path(row["path"]).parent.parent.name == row["split"]


def test_a_sample_is_its_own_group_without_a_rule(one_epoch: Path, surfaces: Path) -> None:
    found = {row["path"]: row["group"] for row in rows(one_epoch / "split.csv")}
    assert found == {str(path): path.relative_to(surfaces).as_posix() for path in surfaces.glob("*/*.jpg")}


def test_the_bar_shows_images_done_speed_and_time_left(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    monkeypatch.setenv("COLUMNS", "120")
    trained("trainer.enable_progress_bar=true")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    for name, total in (("computing features", 40), ("epoch 1/2", 28), ("epoch 2/2", 28)):
        assert re.search(rf"{name} \S+ +\d+/{total} .*\d+ images/s \d:\d\d:\d\d", shown), name
    for name in ("validating", "testing"):  # one batch each: too few for a speed
        assert re.search(rf"{name} \S+ +6/6", shown), name
