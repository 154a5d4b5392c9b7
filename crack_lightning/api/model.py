"""A checkpoint, or the map of the package, as an object that marks and predicts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_lightning.api.marked import Marked, marked_photograph
from crack_lightning.api.run_context import with_keys_of
from crack_lightning.data.images.reading import Picture, picture_from, read_picture
from crack_lightning.errors import UserError
from crack_lightning.inference.patches import pick_device
from crack_lightning.inference.sources import Photograph, find_photographs
from crack_lightning.models.crack_map import Network, is_map
from crack_lightning.models.map_checkpoint import load_network
from crack_lightning.runs.inspection.inspection import Reader, content_of, inspection_by, reader_of
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.inspection.photograph_files import as_kept
from crack_lightning.runs.inspection.photograph_findings import findings_of, prepare_photograph
from crack_lightning.runs.judging.options import PredictOptions
from crack_lightning.runs.judging.prediction import Prediction, predictions_of
from crack_lightning.system.files import expanded, not_a_file
from crack_lightning.system.option_keys import options_from
from crack_lightning.system.progress import showing

Source = str | Path | Image.Image | np.ndarray
KEYS_OF_LOAD = ("source", "ckpt_path", "device")
KEYS_OF_FOLDERS = ("formats", "image_prefix", "shard", "shards")  # of `inspect`, not of one photograph
MODELS_KEPT = 4  # networks that `load` keeps ready


class Model:
    """A network that marks and predicts; `load` and a training run give it.

    `ckpt_path` is its file, None of the map of the package; `is_map` says whether it marks lines to four pixels, or
    windows; `class_names`, `positive_class` and `threshold` are what it decides by.
    """

    def __init__(self, network: Network, ckpt_path: str | None, content: str, device: str) -> None:
        self.ckpt_path = ckpt_path
        self._network, self._content, self._device = network, content, device
        self._readers: dict[tuple[object, ...], Reader] = {}

    @property
    def is_map(self) -> bool:
        """Returns whether it is a crack map, which marks lines, rather than a classifier of patches."""
        return is_map(self._network)

    @property
    def backbone(self) -> str:
        """Returns the name of its frozen or trained backbone."""
        return self._network.backbone

    @property
    def class_names(self) -> tuple[str, str]:
        """Returns the names of the classes in the order of the logits."""
        return self._network.decision.class_names

    @property
    def positive_class(self) -> str:
        """Returns the name of the class that `probability` is of."""
        return self._network.decision.positive_class

    @property
    def threshold(self) -> float:
        """Returns the probability from which on the positive class is predicted."""
        return self._network.decision.threshold

    @with_keys_of(InspectOptions, without=(*KEYS_OF_LOAD, *KEYS_OF_FOLDERS))
    def mark(self, image: Source, **options: Any) -> Marked:
        """Marks and measures the cracks in one photograph: a path, a PIL image, or an array (h, w, 3) uint8, RGB.

        The options are the keys of `crack inspect`. An array never touches the disk. Raises UserError or OSError for
        what cannot be read or an option that does not suit.
        """
        if refused := [key for key in options if key in (*KEYS_OF_LOAD, *KEYS_OF_FOLDERS)]:
            raise UserError(f"{refused[0]} is not an option of mark: save(formats=...) writes files, load the device")
        name = "image.png" if not isinstance(image, str | os.PathLike) else str(image)
        given = options_from(InspectOptions, {**options, "source": name, "ckpt_path": self.ckpt_path})
        picture, photograph, in_memory = _opened(image, given.max_megapixels)
        reader = self._reader(given)
        inspection = inspection_by(reader, self._content, given, [photograph])
        read, pictures = prepare_photograph(picture, photograph, inspection)
        heat = as_kept(reader.heat(pictures))
        return marked_photograph(read, heat, findings_of(read, heat, inspection), inspection, in_memory)

    def _reader(self, options: InspectOptions) -> Reader:
        key = (options.engine, options.memory_mb, options.windows, tuple(options.scales))
        if key not in self._readers:
            self._readers[key] = reader_of(self._network, options)
        return self._readers[key]

    @with_keys_of(PredictOptions, without=(*KEYS_OF_LOAD, "jsonl"))
    def predict(
        self, images: Source | Sequence[Source], *, progress: bool | None = None, **options: Any
    ) -> list[Prediction]:
        """Classifies patches: a folder, a file, a pattern, or pictures as `mark` takes them, in a list or one alone.

        Returns a Prediction for each, in their order; of a file that cannot be read its `error` says why. Raises
        UserError or OSError for an option or a source that does not suit.
        """
        given = options_from(
            PredictOptions, {**options, "source": "", "ckpt_path": self.ckpt_path, "device": self._device}
        )
        with showing(progress):
            return predictions_of(self._network, _items(images, given.max_megapixels), given)

    def __repr__(self) -> str:
        kind = "crack map" if self.is_map else "classifier"
        return f"Model({kind} on {self.backbone}, {self.ckpt_path or 'the map of the package'})"


def load(ckpt_path: str | Path | None = None, *, device: str = "auto") -> Model:
    """Opens a checkpoint: best.ckpt, or the folder of the run that wrote it; without one the map of the package.

    The last four are kept ready, so that to load one again costs nothing. Raises UserError or OSError for a file
    that is not a checkpoint, and for a device that is not there.

    >>> model = cl.load("run/checkpoints/best.ckpt")
    >>> model.class_names, model.threshold
    (('Negative', 'Positive'), 0.5)
    >>> answer = model.predict(["patch.jpg"])[0]
    >>> label, probability, needs_review = answer.label, answer.probability, answer.needs_review
    """
    path = None if ckpt_path is None else str(checkpoint_path(ckpt_path))
    stat = None if path is None else Path(path).stat()
    return _loaded(path, None if stat is None else (stat.st_size, stat.st_mtime_ns), device)


@lru_cache(MODELS_KEPT)
def _loaded(path: str | None, state: tuple[int, int] | None, device: str) -> Model:
    return Model(load_network(path).to(pick_device(device)), path, content_of(path), device)


def checkpoint_path(given: str | Path) -> Path:
    """Returns the path of a checkpoint, of a run folder that of its best one. Raises FileNotFoundError."""
    path = expanded(str(given)).absolute()
    best = path / "checkpoints" / "best.ckpt"
    if path.is_dir() and best.is_file():
        return best
    if not path.is_file():
        raise FileNotFoundError(
            f"ckpt_path={given} {'has no checkpoints/best.ckpt' if path.is_dir() else 'does not exist'}"
        )
    return path


@with_keys_of(InspectOptions, without=("source", *KEYS_OF_FOLDERS))
def mark(image: Source, *, ckpt_path: Model | str | Path | None = None, device: str = "auto", **options: Any) -> Marked:
    """Marks and measures the cracks in one photograph by the map of the package, or another checkpoint.

    `image` is a path, a PIL image or an array (h, w, 3) uint8, RGB. `mm_per_px` gives millimetres. The options are the
    keys of `crack inspect`. In a loop the network is built once. Raises UserError or OSError.

    >>> marked = cl.mark("wall.jpg", mm_per_px=0.3)
    >>> print(marked)
    wall.jpg: cracked, 1 crack of ... mm in all, the widest ... mm
    >>> crack = marked.cracks[0]
    >>> length_mm, width_mm, line_xy = crack.length_mm, crack.width_mm, crack.polyline_xy
    >>> picture, rows = marked.overlay(), marked.table()
    >>> saved = marked.save("marked", formats=["coco"])
    """
    model = ckpt_path if isinstance(ckpt_path, Model) else load(ckpt_path, device=device)
    return model.mark(image, **options)


def _opened(image: Source, megapixels: float) -> tuple[Picture, Photograph, np.ndarray | None]:
    """Returns the picture, its name and file, and its pixels where it has no file."""
    if not isinstance(image, str | os.PathLike):
        picture = picture_from(image, megapixels=megapixels)
        return picture, Photograph(Path("image.png"), "image.png"), np.asarray(picture.image)
    path = expanded(os.fspath(image)).absolute()
    if not os.fspath(image):
        raise UserError("the path of the photograph is empty")
    if path.is_dir():
        raise UserError(f"{image} is a folder: mark takes one photograph, inspect all of a folder")
    if not path.exists():
        raise FileNotFoundError(f"{image} does not exist: give a photograph, a PIL image or an array")
    if problem := not_a_file(path):
        raise UserError(f"{image}: {problem}")
    return read_picture(path, megapixels=megapixels), Photograph(path, path.name), None


def _items(images: Source | Sequence[Source], megapixels: float) -> list[Path | Picture]:
    """Returns files and pictures, in their order."""
    if isinstance(images, str | os.PathLike):
        return [photograph.path for photograph in find_photographs(os.fspath(images)).photographs]
    if isinstance(images, Image.Image | np.ndarray):
        return [picture_from(images, megapixels=megapixels)]
    return [
        expanded(os.fspath(image)).absolute()
        if isinstance(image, str | os.PathLike)
        else picture_from(image, megapixels=megapixels)
        for image in images
    ]
