"""Finds the samples of a data set, whatever its layout."""

from collections.abc import Sequence
from pathlib import Path

from crack_lightning.data.images.checks import find_unreadable
from crack_lightning.data.samples.labels import table_splits
from crack_lightning.data.samples.layouts import MASKED, TABLE, recognise_layout
from crack_lightning.data.samples.listing import Sample, find_samples
from crack_lightning.data.samples.masks import find_masked_splits, mismatched_masks
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.data.samples.splits import Splits

UNSPLIT = ""  # the key of all samples of a data set that is not split yet


def find_dataset(
    root: Path,
    class_names: Sequence[str],
    *,
    layout: str | None,
    positive_class: str,
    labels: str | None = None,
    only: str | None = None,
) -> Splits:
    """Returns the samples in `root` by split, if it is split already by train/ val/ test/ or by a column of its table.

    Otherwise, all samples are under UNSPLIT. If `layout` is None, `recognise_layout` finds it. In the layout with
    masks, each sample has a mask and label 0. If `only` is given, no other split is looked for. Raises
    FileNotFoundError or UserError if files and folders do not fit the layout.
    """
    wanted = SPLITS if only is None else (only,)
    if layout == TABLE:
        samples = find_samples(root, class_names, layout=TABLE, positive_class=positive_class, labels=labels)
        splits = table_splits(root, labels)
        return (
            {split: [sample for sample in samples if splits[sample.path] == split] for split in wanted}
            if splits
            else {UNSPLIT: samples}
        )
    if layout == MASKED:
        return find_masked_splits(root)

    def samples_in(folder: Path, prefix: str = "") -> list[Sample]:
        folder_layout = layout or recognise_layout(folder, class_names)
        return find_samples(folder, class_names, layout=folder_layout, positive_class=positive_class, prefix=prefix)

    if folders := split_folders(root):
        return {split: samples_in(folders[split], f"{split}/" if only is None else "") for split in wanted}
    return {UNSPLIT: samples_in(root)}


def keep_readable(samples: Sequence[Sample], *, skip: bool, megapixels: float) -> tuple[list[Sample], dict[Path, str]]:
    """Returns the samples whose picture and mask can be read, and by path why other files cannot.

    All files are decoded if unreadable ones may be left out (`skip`); otherwise mostly their headers are read.
    """
    paths = [path for sample in samples for path in (sample.path, sample.mask) if path is not None]
    reasons = find_unreadable(paths, decode=skip, megapixels=megapixels)
    reasons |= mismatched_masks([sample for sample in samples if not {sample.path, sample.mask} & reasons.keys()])
    return [sample for sample in samples if not {sample.path, sample.mask} & reasons.keys()], reasons
