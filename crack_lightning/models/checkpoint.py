"""Reading a checkpoint: one file that predicts on its own, opened without running code from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from crack_lightning.models.backbones import check_backbone
from crack_lightning.models.classifier import CrackClassifier

FORMAT = 1
FACTS_KEY = "crack_classifier"  # beside Lightning's own keys
PREFIX = "classifier."  # of the classifier's tensors in the state dict


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint of this project, tensors on the CPU.

    Raises FileNotFoundError when it is missing and ValueError when it is damaged, of another program, or
    holds anything but plain data (which is then not executed), or of a backbone that is not known here.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"ckpt_path={path} does not exist")
    if not path.is_file():
        raise FileNotFoundError(f"ckpt_path={path} is a folder: name the file, such as checkpoints/best.ckpt in it")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and end-of-file errors here
        raise ValueError(f"ckpt_path={path} {_why(error)}") from error
    if not isinstance(checkpoint, dict) or FACTS_KEY not in checkpoint:
        raise ValueError(f"ckpt_path={path} was not written by crack_lightning: train one with python train.py")
    if checkpoint[FACTS_KEY].get("format") != FORMAT:
        raise ValueError(
            f"ckpt_path={path} has format {checkpoint[FACTS_KEY].get('format')}; this version reads {FORMAT}"
        )
    try:
        check_backbone(checkpoint[FACTS_KEY]["facts"]["backbone"])
    except ValueError as error:
        raise ValueError(f"ckpt_path={path} needs another version of crack_lightning: {error}") from error
    return checkpoint


def _why(error: Exception) -> str:
    if "weights_only" in str(error) or "Weights only" in str(error):
        return (
            "is no checkpoint of crack_lightning: it is another kind of file, or holds Python objects, "
            "which can run code and were not opened"
        )
    return f"is damaged or no checkpoint at all ({type(error).__name__}): use another copy"


def load_classifier(path: str | Path) -> CrackClassifier:
    """The classifier in a checkpoint, in evaluation mode on the CPU; raises as `read_checkpoint`."""
    return classifier_from(read_checkpoint(path))


def classifier_from(checkpoint: Mapping[str, Any]) -> CrackClassifier:
    """The classifier in what `read_checkpoint` gave, in evaluation mode."""
    facts = dict(checkpoint[FACTS_KEY]["facts"])
    classifier = CrackClassifier(**facts)
    tensors = checkpoint["state_dict"].items()
    classifier.load_state_dict({k.removeprefix(PREFIX): v for k, v in tensors if k.startswith(PREFIX)})
    return classifier.eval()


def checkpoint_facts(classifier: CrackClassifier, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under `FACTS_KEY`: the format, what rebuilds the classifier, and where it comes from."""
    return {"format": FORMAT, "facts": classifier.facts(), "provenance": dict(provenance)}
