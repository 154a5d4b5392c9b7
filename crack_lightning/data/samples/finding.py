"""The samples of a data set: one question, whatever its layout."""

from collections.abc import Sequence
from pathlib import Path

from crack_lightning.data.images.checks import find_unreadable
from crack_lightning.data.samples.labels import table_splits
from crack_lightning.data.samples.layouts import MASKED, TABLE, recognised
from crack_lightning.data.samples.listing import Sample, find_samples
from crack_lightning.data.samples.masks import masked_samples, odd_masks
from crack_lightning.data.samples.presplit import SPLITS, split_folders
from crack_lightning.data.samples.splits import Splits

WHOLE = ""  # stands for the split of a data set that is not split already


def find_dataset(
    root: Path,
    class_names: Sequence[str],
    *,
    layout: str | None,
    positive_class: str,
    labels: str | None = None,
    only: str | None = None,
) -> Splits:
    """Returns the samples in `root` by the splits that it has already: train/ val/ test/, or the column of a table.

    All samples are under WHOLE where it has none. `layout` None is what `recognised` says; with masks each sample has
    one, and label 0. `only` is the one split to look for where there are several. Raises FileNotFoundError or UserError
    for what does not lie there as the layout has it.
    """
    wanted = SPLITS if only is None else (only,)
    if layout == TABLE:
        samples = find_samples(root, class_names, layout=TABLE, positive_class=positive_class, labels=labels)
        splits = table_splits(root, labels)
        return (
            {split: [each for each in samples if splits[each.path] == split] for split in wanted}
            if splits
            else {WHOLE: samples}
        )
    if layout == MASKED:
        return masked_samples(root)

    def found(folder: Path, prefix: str = "") -> list[Sample]:
        own = layout or recognised(folder, class_names)
        return find_samples(folder, class_names, layout=own, positive_class=positive_class, prefix=prefix)

    if folders := split_folders(root):
        return {split: found(folders[split], f"{split}/" if only is None else "") for split in wanted}
    return {WHOLE: found(root)}


def readable(samples: Sequence[Sample], *, skip: bool, megapixels: float) -> tuple[list[Sample], dict[Path, str]]:
    """Returns the samples that can be read, masks included, and of the others the path with the reason.

    Unless unreadable ones may be left out (`skip`), headers alone are looked at.
    """
    paths = [path for sample in samples for path in (sample.path, sample.mask) if path is not None]
    bad = find_unreadable(paths, decode=skip, megapixels=megapixels)
    bad |= odd_masks([sample for sample in samples if not {sample.path, sample.mask} & bad.keys()])
    return [sample for sample in samples if not {sample.path, sample.mask} & bad.keys()], bad
