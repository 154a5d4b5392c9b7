"""Evaluates a crack map on a folder of photographs with masks."""

import logging
from pathlib import Path

from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patches import pick_device
from crack_lightning.models.crack_map import CELL_PX, is_map
from crack_lightning.models.map_checkpoint import load_with_provenance
from crack_lightning.runs.judging.evaluation_images import find_images, warn_of_training_data
from crack_lightning.runs.judging.mask_results import evaluate_photographs, log_test_metrics, write_mask_results
from crack_lightning.runs.judging.options import EvaluateOptions

log = logging.getLogger(__name__)


def evaluate_on_masks(ckpt_path: Path | None, options: EvaluateOptions, folder: Path) -> dict[str, float]:
    """Evaluates a crack map on photographs with masks, and writes metrics, a table and a figure into `folder`.

    Raises UserError or OSError if the checkpoint or the folder cannot be used.
    """
    network, provenance = load_with_provenance(ckpt_path)
    data = options.data
    if not is_map(network):
        raise UserError(
            f"ckpt_path={ckpt_path} is a classifier, which judges whole pictures, and data=masks needs a crack map: "
            "leave ckpt_path out to evaluate the package's, or give one from train.py model=crack_map"
        )
    samples = find_images(Path(str(data.root)), data, network.decision, folder, split=data.split)
    warn_of_training_data(Path(str(data.root)), data, provenance)
    reader = CrackMapReader(network.to(pick_device(options.device)), engine=options.engine)
    tolerance = round(data.tolerance_px / CELL_PX)
    evaluated, metrics = evaluate_photographs(reader, samples, tolerance=tolerance, megapixels=data.max_megapixels)
    write_mask_results(folder, evaluated, metrics)
    log_test_metrics(metrics)
    log.info("%d photographs evaluated: %s", len(samples), folder)
    return metrics
