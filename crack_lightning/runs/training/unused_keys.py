"""Keys of training that a crack map does not use: its head is computed, from pictures of their own size."""

from collections.abc import Sequence

from crack_lightning.errors import UserError

OF_CLASSIFIERS = (
    *("optimizer", "scheduler", "callbacks", "task", "experiment", "features", "ckpt_path", "trainer."),
    *("data.image_size", "data.batch_size", "data.flip_probability", "data.rotation_degrees", "model.dropout"),
)
OF_PATCHES = ("objective", "calibrate", "threshold", "review_band", "data.class_names", "data.positive_class")
USED = ("features.engine", "trainer.accelerator")


def check_map_keys(keys: Sequence[str], *, masked: bool) -> None:
    """Raises UserError for keys that training a crack map, on masks perhaps, would ignore."""
    refused = (*OF_CLASSIFIERS, *(OF_PATCHES if masked else ()))
    unused = [key for key in keys if key not in USED and any(_is_within(key, section) for section in refused)]
    if unused:
        kind = "model=crack_map data=masks" if masked else "model=crack_map"
        raise UserError(
            f"{', '.join(unused)}: not used with {kind}, whose head is computed from pictures of their own size; leave "
            "it out, or train model=mobilenet_v2 on class folders"
        )


def _is_within(key: str, section: str) -> bool:
    return key == section or key.startswith(section if section.endswith(".") else f"{section}.")
