"""python -m crack_lightning.predict: what a checkpoint says of patches or small photographs."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from crack_lightning.commands import command, ctrl_c_says, plain, run_folder

log = logging.getLogger(__name__)

HEADER = ["path", "predicted", "probability", "review", "error"]


def predict(cfg: DictConfig) -> None:
    """Leave predictions.csv, a row a file; exit status 1 if there were any that could not be read."""
    from crack_lightning.data.files import write_csv
    from crack_lightning.data.loading import check_loading
    from crack_lightning.inference.patches import judge_files, pick_device
    from crack_lightning.inference.sources import find_photographs
    from crack_lightning.models.checkpoint import load_classifier
    from crack_lightning.models.engines import check_engine

    options = plain(cfg)
    check_engine(options["engine"])
    classifier = load_classifier(options["ckpt_path"])
    loading = {key: options[key] for key in ("batch_size", "num_workers")}
    check_loading(**loading, on_error="skip", image_size=classifier.image_size)
    paths = [each.path for each in find_photographs(options["source"])]
    with ctrl_c_says(lambda: "nothing is left: predict again"):
        device = pick_device(options["device"])
        logits, errors = judge_files(classifier, paths, **loading, device=device, engine=options["engine"])
    probabilities = classifier.probabilities(logits)[:, classifier.positive_index]
    names = sorted(classifier.class_names, key=lambda name: name == classifier.positive_class)
    rows = [
        _row(path, probability, error, names, classifier.threshold, classifier.review_band)
        for path, probability, error in zip(paths, probabilities.tolist(), errors, strict=True)
    ]
    folder = run_folder()
    write_csv(folder / "predictions.csv", HEADER, rows)
    if options["jsonl"]:
        _write_lines(folder / "predictions.jsonl", rows)
    unread = sum(bool(error) for error in errors)
    cracked = sum(row[1] == classifier.positive_class for row in rows)
    log.info("%d images, %d %s: %s", len(rows), cracked, classifier.positive_class, folder / "predictions.csv")
    if unread:
        log.error("%d images could not be read: see the column error", unread)
        sys.exit(1)


def _row(
    path: Path, probability: float, error: str, names: list[str], threshold: float, band: list[float] | None
) -> list[Any]:
    if error:
        return [path, "", "", "", error]
    review = int(band is not None and band[0] <= probability <= band[1])
    return [path, names[probability >= threshold], f"{probability:.6f}", review, ""]


def _write_lines(path: Path, rows: list[list[Any]]) -> None:
    """A JSON object a line, with numbers as numbers."""
    from crack_lightning.data.files import write_atomically

    lines = []
    for where, predicted, probability, review, error in rows:
        found = {"predicted": predicted, "probability": float(probability or "nan"), "review": bool(review)}
        lines.append(json.dumps({"path": str(where)} | ({"error": error} if error else found)))
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def main() -> None:
    command(predict, config_name="predict", needs="torchvision")


if __name__ == "__main__":
    main()
