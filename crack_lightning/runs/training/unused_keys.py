"""Refuses training options that a crack map does not use: its head is computed, from pictures in their own size."""

from collections.abc import Sequence

from crack_lightning.errors import UserError

CLASSIFIER_KEYS = (  # no crack map uses them
    *("optimizer", "scheduler", "callbacks", "task", "experiment", "features", "ckpt_path", "trainer."),
    *("data.image_size", "data.batch_size", "data.flip_probability", "data.rotation_degrees", "model.dropout"),
)
# A crack map that is trained on masks does not use these either.
PATCH_KEYS = ("objective", "calibrate", "threshold", "review_band", "data.class_names", "data.positive_class")
MAP_KEYS = ("features.engine", "trainer.accelerator")  # a crack map uses them, unlike the rest of their groups


def check_map_keys(keys: Sequence[str], *, masked: bool) -> None:
    """Raises UserError for keys that the training of a crack map ignores; `masked` says whether it trains on masks."""
    refused = (*CLASSIFIER_KEYS, *(PATCH_KEYS if masked else ()))
    unused = [key for key in keys if key not in MAP_KEYS and any(_is_within(key, group) for group in refused)]
    if unused:
        training = "model=crack_map data=masks" if masked else "model=crack_map"
        raise UserError(
            f"{', '.join(unused)}: not used with {training}, whose head is computed from pictures in their own size; "
            "leave it out, or train model=mobilenet_v2 on class folders"
        )


def _is_within(key: str, group: str) -> bool:
    return key == group or key.startswith(group if group.endswith(".") else f"{group}.")
