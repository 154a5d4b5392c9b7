"""Reads a checkpoint: a self-contained file that predicts, checked and opened without running code from it."""

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crack_lightning.errors import UserError
from crack_lightning.models.backbones import check_backbone
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.decision import decision_from
from crack_lightning.models.options import IMAGE_SIZES
from crack_lightning.system.files import expanded, not_a_file

FORMAT = 1
FLOAT_ENGINE = "float"  # engine of the features that a head was trained on; earlier versions had others too
MAX_PATCH_PX = 100_000
FACTS_KEY = "crack_classifier"  # key of a classifier's facts, beside Lightning's own keys
# Suffixes of the files that `export` writes for other programs.
EXPORT_SUFFIXES = (".onnx", ".xml", ".bin", ".pt2", ".safetensors", ".json")
MAP_KEY = "crack_map"  # key of a crack map's facts; its file has no FACTS_KEY
PREFIX = "classifier."  # begins the names of the classifier's tensors in the state dict
UNKNOWN_FACTS = {"review_band": None, "patch_px": None, "mm_per_px": None}
OPTIONAL_FACTS: dict[str, Any] = {"threshold": 0.5, "temperature": 1.0, **UNKNOWN_FACTS}
REQUIRED_FACTS = ("backbone", "class_names", "positive_class", "image_size", "dropout", "freeze", "weights")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Returns the contents of a checkpoint of this project, tensors on the CPU, with all its facts checked.

    Raises FileNotFoundError when it is missing. Raises ValueError when it is damaged, a crack map or from another
    program, and when it holds an invalid number, an unknown backbone, or Python objects, whose code is not run.
    """
    checkpoint = open_checkpoint(path)
    if isinstance(checkpoint, dict) and MAP_KEY in checkpoint:
        raise UserError(
            f"ckpt_path={path} is a crack map, whose training has no epochs to continue: a classifier is needed "
            "here. To train a map again, use model=crack_map without ckpt_path"
        )
    return checked_checkpoint(checkpoint, path)


def open_checkpoint(path: str | Path) -> Any:
    """Returns the unchecked contents of a checkpoint, of a crack map too; raises the errors of `read_checkpoint`."""
    path = expanded(path)
    if not path.exists():
        if address := re.fullmatch(r"(\w{2,}):/+(.+)", str(path)):
            url = "://".join(address.groups())
            raise FileNotFoundError(f"ckpt_path={url}: nothing is fetched here; `hf download` it, then give the file")
        raise FileNotFoundError(f"ckpt_path={path} does not exist: give the best.ckpt or last.ckpt of a run")
    if path.is_dir():
        raise FileNotFoundError(f"ckpt_path={path} is a folder: name the file, such as checkpoints/best.ckpt in it")
    if (problem := not_a_file(path)) is not None:
        raise UserError(f"ckpt_path={path} is damaged or no checkpoint at all ({problem}): use another copy")
    if path.suffix.lower() in EXPORT_SUFFIXES:
        raise UserError(f"ckpt_path={path} is an export for other programs: give the checkpoint that it was made from")
    return _load(path)


def checked_checkpoint(checkpoint: Any, path: str | Path) -> dict[str, Any]:
    """Checks and returns a classifier's checkpoint that `open_checkpoint` read; raises errors of `read_checkpoint`."""
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(FACTS_KEY), dict):
        raise UserError(f"ckpt_path={path} was not written by crack_lightning: train one with python train.py")
    if checkpoint[FACTS_KEY].get("format") != FORMAT:
        raise UserError(
            f"ckpt_path={path} has format {checkpoint[FACTS_KEY].get('format')}; this version reads {FORMAT}: "
            "train again, or use the version that wrote it"
        )
    try:
        _check_facts(checkpoint)
    except (ValueError, TypeError) as error:
        raise UserError(f"ckpt_path={path} cannot be used: {error}. Use another copy, or train again") from error
    return checkpoint


def _load(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise UserError("a compressed file, which torch does not write")
            if (damaged := archive.testzip()) is not None:  # torch does not compare checksums
                raise UserError(f"checksum of {damaged}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and end-of-file errors here
        raise UserError(f"ckpt_path={path} {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if "weights_only" in str(error) or "Weights only" in str(error):
        return (
            "is not a checkpoint of crack_lightning: it is another kind of file, or holds Python objects, "
            "which can run code and were not opened"
        )
    problem = str(error) if isinstance(error, UserError) else type(error).__name__
    return f"is damaged or no checkpoint at all ({problem}): use another copy"


def _check_facts(checkpoint: Mapping[str, Any]) -> None:
    """Raises ValueError or TypeError for an invalid fact or tensor."""
    facts = checkpoint[FACTS_KEY].get("facts")
    if not isinstance(facts, dict) or not isinstance(checkpoint[FACTS_KEY].get("provenance"), dict):
        raise TypeError("it has no facts or no provenance")
    if facts.pop("engine", FLOAT_ENGINE) != FLOAT_ENGINE:
        raise UserError("its head was trained on features in eight bits, which this version does not compute")
    if missing := [name for name in REQUIRED_FACTS if name not in facts]:
        raise UserError(f"it lacks {', '.join(missing)}")
    if unknown := [str(name) for name in facts if name not in (*REQUIRED_FACTS, *OPTIONAL_FACTS)]:
        raise UserError(f"it has unknown facts {', '.join(unknown)}: another version of crack_lightning may read them")
    facts |= {name: facts.get(name, value) for name, value in OPTIONAL_FACTS.items()}
    if not isinstance(facts["backbone"], str):
        raise TypeError(f"backbone={facts['backbone']!r} is not a name")
    try:
        check_backbone(facts["backbone"])
    except ValueError as error:
        raise UserError(f"it needs another version of crack_lightning ({error})") from error
    decision_from(facts)
    _check_numbers(facts)
    check_tensors(checkpoint.get("state_dict"))


def _check_numbers(facts: Mapping[str, Any]) -> None:
    size, dropout = (facts[name] for name in ("image_size", "dropout"))
    if type(size) is not int or size not in IMAGE_SIZES:
        raise UserError(f"image_size={size!r}: must be from {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} pixels")
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise UserError(f"dropout={dropout!r}: must be 0 or more and below 1")
    if type(facts["freeze"]) is not bool:
        raise TypeError(f"freeze={facts['freeze']!r}: must be true or false")
    check_origin(facts)


def check_origin(facts: Mapping[str, Any]) -> None:
    """Raises ValueError or TypeError if the origin of weights, or training pictures' size or scale, is invalid."""
    patch, scale, weights = (facts[name] for name in ("patch_px", "mm_per_px", "weights"))
    if patch is not None and (type(patch) is not int or not 1 <= patch <= MAX_PATCH_PX):
        raise UserError(f"patch_px={patch!r}: must be from 1 to {MAX_PATCH_PX} pixels, or None")
    if scale is not None and (type(scale) not in (int, float) or not 0 < scale < math.inf):
        raise UserError(f"mm_per_px={scale!r}: must be above 0, or None")
    if not isinstance(weights, dict) or not all(isinstance(text, str) for pair in weights.items() for text in pair):
        raise TypeError("the origin of its weights is not a dict of texts")


def check_tensors(state: Any) -> None:
    """Raises ValueError or TypeError for anything but a dict of plain, finite tensors."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise TypeError("it has no weights")
    for name, tensor in state.items():
        plain = isinstance(tensor, Tensor) and tensor.layout is torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized or tensor.is_complex():
            raise TypeError(f"{name} is not a plain tensor")
        if tensor.untyped_storage().nbytes() < tensor.nbytes:  # strides that repeat stored numbers
            raise UserError(f"{name} claims more numbers than it stores")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"{name} holds NaN or infinity")


def classifier_from(checkpoint: Mapping[str, Any], path: str | Path) -> CrackClassifier:
    """Builds the classifier, in evaluation mode, from what `read_checkpoint` returned for `path`.

    Raises ValueError when the tensors do not fit the network that the facts describe.
    """
    facts = dict(checkpoint[FACTS_KEY]["facts"])
    decision = decision_from(facts)
    classifier = CrackClassifier(
        decision=decision, random=False, **{name: facts[name] for name in facts if name not in decision.facts()}
    )
    tensors = {k.removeprefix(PREFIX): v for k, v in checkpoint["state_dict"].items() if k.startswith(PREFIX)}
    try:
        classifier.load_state_dict(tensors)
    except (RuntimeError, AttributeError) as error:  # names or shapes of another network
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"ckpt_path={path} cannot be used: its weights do not fit ({reason})") from error
    return classifier.eval()


def checkpoint_facts(classifier: CrackClassifier, provenance: Mapping[str, object]) -> dict[str, Any]:
    """Returns the entry at `FACTS_KEY`: the format, what is needed to rebuild the classifier, and its provenance."""
    return {"format": FORMAT, "facts": classifier.facts(), "provenance": dict(provenance)}
