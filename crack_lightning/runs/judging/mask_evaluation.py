"""Evaluates a crack map on a folder of photographs with masks."""

import logging
from pathlib import Path

from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patches import pick_device
from crack_lightning.models.crack_map import CELL_PX, is_map
from crack_lightning.models.map_checkpoint import load_with_provenance
from crack_lightning.runs.judging.judging import images_of, warn_of_training_data
from crack_lightning.runs.judging.mask_judging import judge_masks, log_masks, write_masks_judged
from crack_lightning.runs.judging.options import EvaluateOptions

log = logging.getLogger(__name__)


def evaluate_masks(ckpt_path: Path | None, options: EvaluateOptions, folder: Path) -> dict[str, float]:
    """Judges a crack map on photographs with masks and writes metrics, a table and a figure into `folder`.

    Raises UserError or OSError for what cannot be judged.
    """
    network, provenance = load_with_provenance(ckpt_path)
    data = options.data
    if not is_map(network):
        raise UserError(
            f"ckpt_path={ckpt_path} is a classifier, which judges whole pictures, and data=masks needs a crack map: "
            "leave ckpt_path out for that of the package, or give one of train.py model=crack_map"
        )
    masked = images_of(Path(str(data.root)), data, network.decision, folder, split=data.split)
    warn_of_training_data(Path(str(data.root)), data, provenance)
    reader = CrackMapReader(network.to(pick_device(options.device)), engine=options.engine)
    tolerance = round(data.tolerance_px / CELL_PX)
    judged, metrics = judge_masks(reader, masked, tolerance=tolerance, megapixels=data.max_megapixels)
    write_masks_judged(folder, judged, metrics)
    log_masks(metrics)
    log.info("%d photographs judged: %s", len(masked), folder)
    return metrics
