"""Computes the cells that a project learns from, and keeps them in its folder: of corrections and their photographs.

A correction's cells are those of its lines; a photograph's are a sample of all, whose mean and median are subtracted
from the logits, and a sample of those that its map marks or nearly marks, by which the level is set.
"""

import hashlib
import io
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crack_lightning.corrections.correction_labels import Label
from crack_lightning.corrections.lines import lines_near, near
from crack_lightning.inference.places import PhotographCells, few_windows
from crack_lightning.models.crack_map import CELL_PX, CrackMap
from crack_lightning.project.kept_pictures import whole_picture
from crack_lightning.project.project import Project, key_of_name
from crack_lightning.runs.inspection.photograph_files import folder_of, read_heat
from crack_lightning.system.files import is_full, write_atomically

log = logging.getLogger(__name__)

Array = np.ndarray

LEARNING = "learning"
CORRECTION_CELLS, CORRECTION_WINDOWS = 48, 6  # cells, and windows that they may lie in, 0.05 s each
SAMPLE, SAMPLE_WINDOWS = 1200, 24
CANDIDATES, CANDIDATE_WINDOWS = 1200, 24
NEARLY = 0.27  # probability from which on a cell is a candidate: one log-odd below the threshold
CLEAR_PX = 16.0  # from corrections that are news to the map, within which a cell is not a candidate


@dataclass(frozen=True)
class PhotographSample:
    """Features (n, channels) of a `sample` of a photograph's cells and of `candidates`, less the `mean` (channels,) of
    the sample; whether the photograph is `small`."""

    sample: Tensor
    candidates: Tensor
    mean: Tensor
    small: bool

    def median_of(self, weight: Tensor) -> float:
        """Returns the median of the logits of its cells, less the logit of their mean."""
        return float((self.sample @ weight).median())


def compute_cells(project: Project, network: CrackMap, labels: Sequence[Label]) -> list[Label]:
    """Writes the cells of labels whose files are not there yet, and returns the labels whose cells are there.

    A photograph is read once for all of its labels; the labels of one that cannot be read are logged and left out.
    """
    folder, missing = learning_folder(project, network), defaultdict[str, list[Label]](list)

    def is_kept(label: Label) -> bool:
        sample_file = _photograph_file(folder, project, label.photograph)
        return _correction_file(folder, label).is_file() and sample_file.is_file()

    for label in labels:
        if not is_kept(label):
            missing[label.photograph].append(label)
    unread = set[str]()
    for name, photograph_labels in missing.items():
        try:
            _compute(project, network, project.key_of(name), photograph_labels)
        except (OSError, ValueError) as error:
            if is_full(error):
                raise
            log.warning("nothing is learned of %s: %s", name, error)
            unread.add(name)
    return [label for label in labels if label.photograph not in unread or is_kept(label)]


def _compute(project: Project, network: CrackMap, key: str, labels: Sequence[Label]) -> None:
    folder = learning_folder(project, network)
    project.grey_of(key)  # raises unless it is the picture that people corrected
    image = whole_picture(project.photograph(key).path, megapixels=project.options.max_megapixels)
    cells, path = PhotographCells(network, image), _photograph_file(folder, project, labels[0].photograph)
    if not path.is_file():
        _write_photograph(project, key, cells, path)
    for label in labels:
        places = _cells_of(label.points, cells.grid_hw)
        rng = np.random.default_rng(label.number)
        chosen = rng.permutation(few_windows(places, CORRECTION_WINDOWS, rng))[:CORRECTION_CELLS]
        _write(_correction_file(folder, label), features=cells.at(chosen))


def kept_cells(project: Project, network: CrackMap, label: Label) -> Tensor:
    """Returns features (n, channels) of a label that `compute_cells` has seen."""
    with np.load(_correction_file(learning_folder(project, network), label)) as file:
        return torch.from_numpy(file["features"]).float()


def kept_sample(project: Project, network: CrackMap, name: str, labels: Iterable[Label]) -> PhotographSample:
    """Returns the sample of the photograph `name`, of which `compute_cells` has seen a label; no candidate lies where
    `labels` are news to the map."""
    with np.load(_photograph_file(learning_folder(project, network), project, name)) as file:
        sample, candidates = (torch.from_numpy(file[key]).float() for key in ("sample", "candidates"))
        places, small = (file["places"] + 0.5) * CELL_PX, bool(file["small"])
    new_tree = lines_near([label.points for label in labels if label.photograph == name and label.new])
    mean = sample.mean(dim=0)
    return PhotographSample(sample - mean, candidates[~near(places[:, ::-1], new_tree, CLEAR_PX)] - mean, mean, small)


def learning_folder(project: Project, network: CrackMap) -> Path:
    """Returns the folder with the features of this backbone's weights."""
    facts = repr((network.backbone, sorted(network.weights.items())))
    return project.folder / LEARNING / hashlib.blake2b(facts.encode(), digest_size=6).hexdigest()


def _correction_file(folder: Path, label: Label) -> Path:
    """Returns a path that changes with the label's places, which later corrections reduce."""
    places = hashlib.blake2b(np.round(label.points).tobytes(), digest_size=4).hexdigest()
    return folder / f"correction-{label.number}-{places}.npz"


def _photograph_file(folder: Path, project: Project, name: str) -> Path:
    """Returns a path that changes with the picture."""
    return folder / f"photograph-{key_of_name(name)}-{project.picture_of(name)}.npz"


def _cells_of(points: Array, grid_hw: tuple[int, int]) -> Array:
    """Returns rows and columns (n, 2) of the cells that points (n, 2), x and y, lie in, each once."""
    cells = (points[:, ::-1] // CELL_PX).astype(int).clip(0, np.array(grid_hw) - 1)
    return np.unique(cells, axis=0)


def _write_photograph(project: Project, key: str, cells: PhotographCells, path: Path) -> None:
    rng, photograph = np.random.default_rng(0), project.photograph(key)
    everywhere = np.argwhere(np.ones(cells.grid_hw, bool))
    chosen = rng.permutation(few_windows(everywhere, SAMPLE_WINDOWS, rng))[:SAMPLE]
    probability = read_heat(folder_of(project.folder, photograph), project.inspected[key]).probability
    marked = np.argwhere(probability[: cells.grid_hw[0], : cells.grid_hw[1]] > NEARLY)
    candidates = rng.permutation(few_windows(marked, CANDIDATE_WINDOWS, rng))[:CANDIDATES]
    features = {"sample": cells.at(chosen), "candidates": cells.at(candidates)}
    _write(path, **features, places=torch.from_numpy(candidates), small=torch.tensor(cells.small))


def _write(path: Path, **tensors: Tensor) -> None:
    buffer = io.BytesIO()
    arrays = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).numpy() for name, tensor in tensors.items()
    }
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
