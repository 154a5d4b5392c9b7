"""What a training run says of its split: how many test images training has seen."""

import logging

from crack_lightning.data.samples.groups import seen_in_training
from crack_lightning.data.samples.splits import Splits
from crack_lightning.system.cache import cache_folder

log = logging.getLogger(__name__)

COPIES = "test images with a copy in training: %d of %d (%s)"
TOLD = {
    "exact": ("a_copy", "exact copies; leakage=near_duplicates or overlap looks for more"),
    "near_duplicates": ("a_near_copy", "near copies"),
    "overlap": ("a_shared_part", "near copies, or crops that share a part"),
}


def leakage_metrics(splits: Splits, by: str, *, cache_dir: str | None, workers: int) -> dict[str, float]:
    """Report and count the test images with an exact counterpart in training, and with that which `by` names."""
    found: dict[str, float] = {}
    cache = cache_folder(cache_dir)
    for each in dict.fromkeys(("exact", by)):
        name, text = TOLD[each]
        leaked = seen_in_training(splits, by=each, cache=cache, workers=workers)
        log.log(logging.WARNING if leaked else logging.INFO, COPIES, leaked, len(splits["test"]), text)
        found[f"split/test_images_with_{name}_in_training"] = leaked
    return found
