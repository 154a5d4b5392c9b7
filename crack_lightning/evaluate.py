"""python -m crack_lightning.evaluate: a checkpoint's figures on a folder of photographs."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from crack_lightning.commands import command, plain, run_folder

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> dict[str, float]:
    """Judge a checkpoint on class folders; leaves metrics, predictions and figures in the run folder."""
    from torch.nn import functional

    from crack_lightning import run_folder as files
    from crack_lightning.data.loading import check_loading, default_workers
    from crack_lightning.inference.patches import pick_device, predict_samples
    from crack_lightning.models.checkpoint import classifier_from, read_checkpoint
    from crack_lightning.report.metrics import binary_metrics

    options = plain(cfg)
    data = options["data"]
    checkpoint = read_checkpoint(options["ckpt_path"])
    classifier = classifier_from(checkpoint)
    check_loading(
        batch_size=data["batch_size"],
        num_workers=data["num_workers"],
        on_error=data["on_error"],
        image_size=classifier.image_size,
    )
    device = pick_device(options["device"])
    folder = run_folder()
    samples = _samples(data, classifier.class_names, folder)
    _warn_of_training_data(data, checkpoint)
    workers = default_workers() if data["num_workers"] is None else data["num_workers"]
    logits = predict_samples(classifier, samples, batch_size=data["batch_size"], num_workers=workers, device=device)
    probabilities = classifier.probabilities(logits)[:, classifier.positive_index]
    judged = files.Judged(classifier.cpu(), samples, probabilities)
    collection = binary_metrics(classifier.threshold, prefix="test/")
    metrics = {name: value.item() for name, value in collection(probabilities, judged.targets).items()}
    labels = judged.targets.new_tensor([sample.label for sample in samples])
    metrics["test/loss"] = functional.cross_entropy(logits, labels).item()
    metrics |= files.confidence_metrics(judged, seed=0)
    files.write_metrics(folder, metrics)
    files.write_predictions(folder, judged)
    files.write_figures(folder, files.drawn(files.judgement_figures(judged)))
    for name, value in sorted(metrics.items()):
        log.info("%s %.4f", name, value)
    log.info("%d images judged: %s", len(samples), folder)
    return metrics


def _samples(data: dict[str, Any], class_names: list[str], folder: Path) -> list[Any]:
    """The photographs to judge on, checked; what could not be read is listed in the run folder."""
    from crack_lightning.data.checks import find_unreadable, unreadable_message
    from crack_lightning.data.samples import SPLITS, find_samples, is_presplit
    from crack_lightning.data.splits import read_split
    from crack_lightning.run_folder import write_unreadable

    root, split = Path(data["root"]).expanduser().absolute(), data["split"]
    if split is not None and split not in SPLITS:
        raise ValueError(f"data.split={split}: one of {', '.join(SPLITS)}")
    if is_presplit(root):
        if data["split_csv"] is not None:
            raise ValueError(f"{root} is split into train/ val/ test/ already: leave data.split_csv out")
        split = split or "test"
        samples = find_samples(root / split, class_names, group_prefix=f"{split}/")
    else:
        samples = find_samples(root, class_names)
        if (split is None) != (data["split_csv"] is None):
            raise ValueError("data.split and data.split_csv belong together where data.root is not split already")
        if split is not None:
            groups = read_split(Path(data["split_csv"]).expanduser(), split)
            samples = [sample for sample in samples if sample.group in groups]
            if gone := groups.keys() - {sample.group for sample in samples}:
                raise FileNotFoundError(
                    f"{len(gone)} of {len(groups)} images of the {split} split are not in {root}, such as {min(gone)}: "
                    f"give the folder that {data['split_csv']} was made from"
                )
            samples = [replace(sample, group=groups[sample.group]) for sample in samples]
    unreadable = find_unreadable([sample.path for sample in samples], decode=data["on_error"] == "skip")
    write_unreadable(folder, unreadable)
    if unreadable and data["on_error"] == "raise":
        raise ValueError(unreadable_message(unreadable))
    samples = [sample for sample in samples if sample.path not in unreadable]
    if not samples:
        raise ValueError(f"no image to judge is left in {root}")
    return samples


def _warn_of_training_data(data: dict[str, Any], checkpoint: dict[str, Any]) -> None:
    from crack_lightning.models.checkpoint import FACTS_KEY

    trained_on = checkpoint[FACTS_KEY]["provenance"].get("data_root")
    same = trained_on == str(Path(data["root"]).expanduser().absolute())
    if same and data["split"] is None:
        log.warning(
            "the checkpoint was trained on photographs of this folder: its figures here are too good. "
            "For those held out give data.split=test data.split_csv=<run folder>/split.csv"
        )


def main() -> None:
    command(evaluate, config_name="evaluate")


if __name__ == "__main__":
    main()
