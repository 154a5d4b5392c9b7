"""python train.py: train a crack classifier, reload its best checkpoint, test it."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from crack_lightning.cli.command import command, ctrl_c_says, plain, refuse_sweep_of_processes, run_folder
from crack_lightning.cli.ranges import check_options
from crack_lightning.runs.results import leave, training_metrics
from crack_lightning.system.arguments import typed

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, Trainer

    from crack_lightning.data.batches.datamodule import CrackDataModule
    from crack_lightning.data.samples.listing import Sample
    from crack_lightning.models.classifier import CrackClassifier
    from crack_lightning.runs.folder import Judged
    from crack_lightning.training.history import EpochHistory
    from crack_lightning.training.task import CrackTask

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | None:
    """Train as `cfg` says and leave the run folder; the value of `cfg.objective` is for sweeps."""
    from lightning.pytorch import seed_everything

    from crack_lightning.cli.resume import has_ended, resumed
    from crack_lightning.data.samples.listing import side_px
    from crack_lightning.system.files import write_atomically

    cfg, checkpoint = resumed(cfg)
    options = plain(cfg)
    check_options(options)
    folder = run_folder()
    if (folder / "metrics.json").exists():
        log.warning("%s holds the results of another run: they are written over", folder)
    seed_everything(options["seed"], verbose=False)
    data = _data(options)
    specs = _specs(options)
    history, trainer = _trainer(cfg)
    classifier = _classifier(options, checkpoint)
    leakage = _prepare(data, folder, checkpoint, options["leakage"])
    if trainer.is_global_zero:
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    classifier.patch_px, classifier.mm_per_px = side_px(data.splits["train"]), data.mm_per_px
    if checkpoint is not None:
        data.first_epoch = checkpoint["epoch"] + 1
    task = _task(options, classifier, data, specs)
    batches = _batches(trainer, classifier, data, options)
    if checkpoint is not None and has_ended(checkpoint, options["trainer"]["max_epochs"]):
        log.info("all epochs are finished: what is left is to calibrate and test")
        trainer.fit_loop.max_epochs = checkpoint["epoch"] + 1
    fit_seconds = _fit(trainer, task, batches, folder, options["ckpt_path"], history)
    tested = _test(trainer, task, batches, data.splits["test"], options)
    if tested is None:
        return None
    judged, confidence = tested
    metrics = training_metrics(trainer, history) | leakage | confidence | {"fit_seconds": fit_seconds}
    leave(folder, trainer, judged, data, history, options, metrics)
    return metrics[options["objective"]]


def _data(options: Mapping[str, Any]) -> "CrackDataModule":
    from crack_lightning.data.batches.datamodule import CrackDataModule

    return CrackDataModule(**options["data"], seed=options["seed"], cache_dir=options["cache_dir"])


def _specs(options: Mapping[str, Any]) -> dict[str, Any]:
    from crack_lightning.training.optimizers import OptimizerSpec, SchedulerSpec

    scheduler = SchedulerSpec(**options["scheduler"]) if options["scheduler"]["name"] else None
    return {"optimizer": OptimizerSpec(**options["optimizer"]), "scheduler": scheduler}


def _trainer(cfg: DictConfig) -> "tuple[EpochHistory, Trainer]":
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from crack_lightning.training.checkpoints import WholeCheckpoints
    from crack_lightning.training.history import EpochHistory
    from crack_lightning.training.progress import ImagesBar

    history = EpochHistory()
    callbacks = [instantiate(each, _convert_="all") for each in cfg.callbacks.values() if each is not None]
    shown = sys.stderr.isatty() if cfg.trainer.enable_progress_bar is None else cfg.trainer.enable_progress_bar
    bars = [ImagesBar()] if shown else []
    try:
        trainer: Trainer = instantiate(
            cfg.trainer,
            callbacks=[*bars, history, *callbacks],
            logger=instantiate(cfg.logger, _convert_="all") if cfg.logger else False,
            enable_progress_bar=shown,
            default_root_dir=run_folder(),
            plugins=[WholeCheckpoints()],
            _convert_="all",
        )
    except InstantiationException as error:
        raise ValueError(f"trainer: {error.__cause__ or error} (trainer=cpu runs everywhere)") from error
    refuse_sweep_of_processes(trainer.world_size, strategy=cfg.trainer.strategy)
    return history, trainer


def _classifier(options: Mapping[str, Any], checkpoint: Mapping[str, Any] | None) -> "CrackClassifier":
    from crack_lightning.models.checkpoint import classifier_from
    from crack_lightning.models.classifier import build_classifier
    from crack_lightning.models.decision import Decision

    if checkpoint is not None:
        return classifier_from(checkpoint, options["ckpt_path"]).train()
    data = options["data"]
    classifier = build_classifier(
        **options["model"],
        decision=Decision(tuple(data["class_names"]), data["positive_class"]),
        image_size=data["image_size"],
    )
    weights = classifier.weights
    log.info("weights of %s: %s from %s", classifier.backbone, weights["name"], weights["source"])
    if classifier.frozen and weights["name"] == "null":
        log.warning("a frozen backbone with random weights learns little: model.freeze=false lets it learn")
    return classifier


def _prepare(
    data: "CrackDataModule", folder: Path, checkpoint: Mapping[str, Any] | None, leakage: str
) -> dict[str, float]:
    """Find, check and split the photographs before anything long begins; the leakage of the split."""
    from crack_lightning.cli.resume import check_split
    from crack_lightning.data.samples.splits import write_split
    from crack_lightning.runs.folder import write_unreadable
    from crack_lightning.runs.leakage import told_leakage

    data.prepare_data()
    try:
        data.setup()
    finally:
        write_unreadable(folder, data.unreadable)
    if data.unreadable:
        log.warning("%d unreadable images left out: %s", len(data.unreadable), folder / "unreadable.csv")
    if checkpoint is not None:
        check_split(checkpoint, data)
    write_split(folder / "split.csv", data.splits, data.class_names)
    return told_leakage(data, leakage)


def _task(
    options: Mapping[str, Any],
    classifier: "CrackClassifier",
    data: "CrackDataModule",
    specs: Mapping[str, Any],
) -> "CrackTask":
    from crack_lightning import __version__
    from crack_lightning.cli.resume import given_overrides, located
    from crack_lightning.data.samples.splits import class_weights, split_digest
    from crack_lightning.training.task import CrackTask

    provenance = {
        "crack_lightning": __version__,
        "overrides": given_overrides(),
        "config": {**options, "data": located(options["data"])},
        "data_root": str(data.root),
        "split": split_digest(data.splits),
        "images": {split: len(samples) for split, samples in data.splits.items()},
    }
    weights = class_weights(data.splits["train"], len(data.class_names), options["task"]["class_weights"])
    return CrackTask(classifier, **specs, seed=options["seed"], class_weights=weights, provenance=provenance)


def _batches(
    trainer: "Trainer", classifier: "CrackClassifier", data: "CrackDataModule", options: Mapping[str, Any]
) -> "LightningDataModule":
    """The pictures, or where the backbone is frozen their features, computed now if need be."""
    from crack_lightning.features.build import prepared
    from crack_lightning.system.cache import cache_folder

    cache, precision = cache_folder(options["cache_dir"]), str(options["trainer"]["precision"])
    with ctrl_c_says(lambda: "the features computed so far are kept"):
        return prepared(trainer, classifier, data, options["features"], cache=cache, precision=precision)


def _fit(
    trainer: "Trainer",
    task: "CrackTask",
    batches: "LightningDataModule",
    folder: Path,
    ckpt_path: str | None,
    history: "EpochHistory",
) -> float:
    started_s = time.perf_counter()
    last = folder / "checkpoints" / "last.ckpt"
    go_on = f"go on with python train.py {typed('ckpt_path', str(last))}"
    try:
        with ctrl_c_says(lambda: go_on if last.exists() else "no epoch was finished"):
            trainer.fit(task, batches, ckpt_path=ckpt_path, weights_only=True)
    except (KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        if ckpt_path is None or history.started:
            raise
        kind = f"{type(error).__name__}: {error}"
        raise ValueError(f"ckpt_path={ckpt_path} cannot be gone on from ({kind}): use another copy") from error
    return time.perf_counter() - started_s


def _test(
    trainer: "Trainer",
    task: "CrackTask",
    batches: "LightningDataModule",
    samples: "Sequence[Sample]",
    options: Mapping[str, Any],
) -> "tuple[Judged, dict[str, float]] | None":
    """Reload the best checkpoint, calibrate it on validation and test it in one process; None in the others."""
    from crack_lightning.models.checkpoint import read_checkpoint
    from crack_lightning.runs.folder import Judged
    from crack_lightning.training.single import leave_group

    tester = leave_group(trainer)
    if tester is None:
        return None
    # Not test(ckpt_path=...), which would restore the callbacks too and forget the epochs after the best one.
    if best := getattr(trainer.checkpoint_callback, "best_model_path", ""):
        task.load_state_dict(read_checkpoint(best)["state_dict"])
    confidence = _confidence(trainer, task, batches, best, options)
    last = str(Path(best).with_name("last.ckpt")) if best else ""
    with ctrl_c_says(lambda: f"it is trained but not tested: python train.py {typed('ckpt_path', last)}"):
        tester.test(task, datamodule=batches, verbose=False)
    trainer.callback_metrics.update(tester.callback_metrics)
    probabilities = task.test_probabilities
    return Judged(task.classifier.cpu(), samples[: len(probabilities)], probabilities), confidence


def _confidence(
    trainer: "Trainer", task: "CrackTask", batches: "LightningDataModule", best: str, options: Mapping[str, Any]
) -> dict[str, float]:
    """Calibrate on validation and keep it in the best checkpoint; the figures that come of it."""
    from crack_lightning.training.confidence import keep_facts, logits_of, set_confidence

    if options["trainer"]["limit_val_batches"] is not None or options["trainer"]["fast_dev_run"]:
        log.info("not calibrated, since validation is limited: threshold %.2f", task.classifier.decision.threshold)
        return {}
    logits, labels = logits_of(task, batches.val_dataloader())
    found = set_confidence(
        task.classifier,
        logits,
        labels,
        calibrate=options["calibrate"],
        threshold=options["threshold"],
        review_error_rate=options["review_band"],
    )
    task.decide_anew()
    if best:
        keep_facts(best, task.classifier)
    return found


if __name__ == "__main__":
    command(train, config_name="train", needs="lightning.pytorch")
