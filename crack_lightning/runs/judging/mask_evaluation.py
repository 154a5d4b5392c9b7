"""A crack map judged on a folder of photographs with masks."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crack_lightning.data.images.checks import find_unreadable, unreadable_message
from crack_lightning.data.samples.masks import (
    Masked,
    crack_share,
    find_masked,
    masked_splits,
    odd_masks,
    warn_of_inverted,
)
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patches import pick_device
from crack_lightning.models.crack_map import CELL_PX, is_map
from crack_lightning.models.map_checkpoint import load_with_provenance
from crack_lightning.runs.judging.judging import of_split, warn_of_training_data
from crack_lightning.runs.judging.mask_judging import judge_masks, log_masks, write_masks_judged
from crack_lightning.runs.judging.options import EvaluateOptions
from crack_lightning.runs.judging.run_files import write_unreadable

log = logging.getLogger(__name__)


def evaluate_masks(ckpt_path: Path | None, options: EvaluateOptions, folder: Path) -> dict[str, float]:
    """Judge a crack map on photographs with masks; metrics, a table and a figure are written into `folder`.

    Raises UserError or OSError for what cannot be judged.
    """
    network, provenance = load_with_provenance(ckpt_path)
    data = options.data
    if not is_map(network):
        raise UserError(
            f"ckpt_path={ckpt_path} is a classifier, which judges whole pictures, and data=masks needs a crack map: "
            "leave ckpt_path out for that of the package, or give one of train.py model=crack_map"
        )
    masked = _of_split(Path(str(data.root)), data.split, data.split_csv)
    masked = usable(masked, folder, on_error=data.on_error, megapixels=data.max_megapixels)
    check_cracks(masked, megapixels=data.max_megapixels)
    warn_of_training_data(Path(str(data.root)), data, provenance)
    reader = CrackMapReader(network.to(pick_device(options.device)), engine=options.engine)
    tolerance = round(data.tolerance_px / CELL_PX)
    judged, metrics = judge_masks(reader, masked, tolerance=tolerance, megapixels=data.max_megapixels)
    write_masks_judged(folder, judged, metrics)
    log_masks(metrics)
    log.info("%d photographs judged: %s", len(masked), folder)
    return metrics


def usable(masked: Sequence[Masked], folder: Path, *, on_error: str, megapixels: float) -> list[Masked]:
    """Those that can be read; the others are listed in `folder`, and raise UserError unless they may be skipped."""
    paths = [path for each in masked for path in (each.sample.path, each.mask)]
    unreadable = find_unreadable(paths, decode=on_error == "skip", megapixels=megapixels)
    unreadable |= odd_masks([each for each in masked if not {each.sample.path, each.mask} & unreadable.keys()])
    write_unreadable(folder, unreadable)
    if unreadable and on_error == "skip":
        log.warning("%d photographs are skipped: %s says why", len(unreadable), folder / "unreadable.csv")
    if unreadable and on_error == "raise":
        raise UserError(unreadable_message(unreadable))
    kept = [each for each in masked if not {each.sample.path, each.mask} & unreadable.keys()]
    if not kept:
        raise UserError(f"no photograph with a mask is left that can be read: {folder / 'unreadable.csv'} says why")
    return kept


def check_cracks(masked: Sequence[Masked], *, megapixels: float) -> None:
    """Warn of masks that are mostly crack. Raises UserError where no mask shows any."""
    shares = {each.mask: crack_share(each.mask, megapixels=megapixels) for each in masked}
    if not any(shares.values()):
        raise UserError(f"none of {len(shares)} masks shows a crack, such as {masked[0].mask}: white is crack")
    warn_of_inverted(shares)


def _of_split(root: Path, split: str | None, table: str | None) -> list[Masked]:
    """The photographs of `root`, or those of a split of it: of its three folders, or of the `table` of a run."""
    if folders := masked_splits(root):
        if table is not None:
            raise UserError(f"{root} is split into train/ val/ test/ already: leave data.split_csv out")
        return folders[split or "test"]
    found = find_masked(root)
    if (split is None) != (table is None):
        raise UserError("data.split and data.split_csv belong together where data.root is not split already")
    if split is None:
        return found
    by_path = {each.sample.path: each for each in found}
    chosen = of_split([each.sample for each in found], Path(str(table)), split, root)
    return [replace(by_path[sample.path], sample=sample) for sample in chosen]
