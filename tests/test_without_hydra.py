"""Runs are a library: typed options and a folder are all that they need."""

import subprocess
import sys
from pathlib import Path

from crack_lightning.cli.command import CONF

SCRIPT = """
import sys
from pathlib import Path

from lightning.pytorch.callbacks import EarlyStopping

from crack_lightning.data.options import DataOptions
from crack_lightning.features.options import FeatureOptions
from crack_lightning.models.options import ModelOptions
from crack_lightning.runs.inspection import inspect_photographs
from crack_lightning.runs.options import InspectOptions, TrainOptions
from crack_lightning.runs.training import train_classifier
from crack_lightning.training.checkpoints import BestCheckpoint
from crack_lightning.training.options import OptimizerOptions, SchedulerOptions, TaskOptions, TrainerOptions

photos, folder = map(Path, sys.argv[1:])
options = TrainOptions(
    data=DataOptions(
        root=str(photos), layout="folders", labels=None, class_names=["Negative", "Positive"],
        positive_class="Positive",
        image_size=32, batch_size=8, num_workers=0, on_error="raise", max_megapixels=200, fractions=[0.7, 0.15, 0.15],
        group_by="file", folds=None, fold=0, mm_per_px=None, flip_probability=0.5, rotation_degrees=0.0, surfaces=None,
    ),
    model=ModelOptions(backbone="mobilenet_v2", weights=None, freeze=True, dropout=0.0),
    features=FeatureOptions("auto", 1, "float32", "content", "eager", 60.0, 1.0),
    optimizer=OptimizerOptions("Adam", 1e-3, None, 0.0, {}),
    scheduler=SchedulerOptions(None, "epoch", None, {}),
    trainer=TrainerOptions(
        accelerator="cpu", devices=1, num_nodes=1, strategy="auto", precision="32-true", max_epochs=1, min_epochs=None,
        max_time=None, limit_train_batches=None, limit_val_batches=None, limit_test_batches=None, fast_dev_run=False,
        num_sanity_val_steps=0, log_every_n_steps=10, accumulate_grad_batches=1, gradient_clip_val=None,
        deterministic=False, benchmark=None, detect_anomaly=False, profiler=None, enable_progress_bar=False,
        enable_model_summary=False,
    ),
    callbacks={}, task=TaskOptions(None), leakage="exact", calibrate=True, threshold=0.5, review_band=None, seed=0,
    ckpt_path=None, cache_dir=str(folder / "cache"), figures=False, objective="val/loss", logger={},
)
best = BestCheckpoint(
    dirpath=folder / "run/checkpoints", filename="best", monitor="val/loss", enable_version_counter=False
)
metrics = train_classifier(options, folder / "run", callbacks=[EarlyStopping("val/loss"), best])
heard = []
inspect_photographs(
    InspectOptions(
        ckpt_path=str(folder / "run/checkpoints/best.ckpt"), source=str(photos / "Negative"), device="cpu",
        engine="eager",
        threshold=None, tile_px=None, mm_per_px=None, windows="auto", scales=[1.0], memory_mb=None, max_megapixels=200,
        overlay_px=100,
    ),
    folder / "inspected",
    listener=lambda inspected, done, count: heard.append((inspected.name, done, count)),
)
assert "crack_lightning.cli" not in sys.modules, "Hydra stops at the door"
print(len(heard), heard[-1][1:], metrics["epochs"])
"""


def test_a_script_trains_and_inspects_without_hydra(surfaces: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(surfaces), str(tmp_path)]
    result = subprocess.run(line, cwd=CONF.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[-2] == "20 (20, 20) 1"
    assert (tmp_path / "run/metrics.json").is_file()
    assert (tmp_path / "inspected/report.html").is_file()
