"""Computes the cells that a project learns from, and keeps them in the project's folder.

For a correction, these are the cells beneath its lines. For a photograph, they are two samples: one of all its cells,
whose mean and median are subtracted from the logits, and one of its candidates, the cells that its map marks or nearly
marks; the level is set by the candidates.
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

FOLDER_NAME = "learning"
# The largest numbers of cells, and of windows that contain them; a window takes 0.05 s to compute.
CORRECTION_CELLS, CORRECTION_WINDOWS = 48, 6
SAMPLE_CELLS, SAMPLE_WINDOWS = 1200, 24
CANDIDATE_CELLS, CANDIDATE_WINDOWS = 1200, 24
MIN_PROBABILITY = 0.27  # lowest probability of a candidate: its log-odds are 1 below a threshold of 0.5
CLEARANCE_PX = 16.0  # a cell this near to a correction that contradicts the map is not a candidate


@dataclass(frozen=True)
class PhotographSample:
    """The features of a photograph's cells.

    `sample`: features (n, channels) of a sample of all cells, less `mean`. `candidates`: the same of a sample of the
    candidates. `mean`: mean feature (channels,) of the sample. `small`: whether the photograph counts as small.
    """

    sample: Tensor
    candidates: Tensor
    mean: Tensor
    small: bool

    def median_of(self, weight: Tensor) -> float:
        """Returns the median logit of the sampled cells for a head's `weight`, less the logit of their mean."""
        return float((self.sample @ weight).median())


def compute_cells(project: Project, network: CrackMap, labels: Sequence[Label]) -> list[Label]:
    """Computes the cells of those labels that have no files yet; returns the labels that now have their files.

    A photograph is read once for all of its labels. If it cannot be read, its labels are left out, with a warning.
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
            _compute_missing(project, network, project.key_of(name), photograph_labels)
        except (OSError, ValueError) as error:
            if is_full(error):
                raise
            log.warning("%s is not used for training: %s", name, error)
            unread.add(name)
    return [label for label in labels if label.photograph not in unread or is_kept(label)]


def _compute_missing(project: Project, network: CrackMap, key: str, labels: Sequence[Label]) -> None:
    folder = learning_folder(project, network)
    project.grey_of(key)  # raises if the file holds another picture than the corrected one
    image = whole_picture(project.photograph(key).path, megapixels=project.options.max_megapixels)
    cells, path = PhotographCells(network, image), _photograph_file(folder, project, labels[0].photograph)
    if not path.is_file():
        _write_photograph(project, key, cells, path)
    for label in labels:
        label_cells = _cells_of(label.points, cells.grid_hw)
        rng = np.random.default_rng(label.number)
        chosen = rng.permutation(few_windows(label_cells, CORRECTION_WINDOWS, rng))[:CORRECTION_CELLS]
        _write(_correction_file(folder, label), features=cells.at(chosen))


def kept_cells(project: Project, network: CrackMap, label: Label) -> Tensor:
    """Returns the features (n, channels) of a label, written by `compute_cells`."""
    with np.load(_correction_file(learning_folder(project, network), label)) as file:
        return torch.from_numpy(file["features"]).float()


def kept_sample(project: Project, network: CrackMap, name: str, labels: Iterable[Label]) -> PhotographSample:
    """Returns the samples of the photograph `name`, written by `compute_cells`; candidates near those of `labels` that
    contradict the map are left out."""
    with np.load(_photograph_file(learning_folder(project, network), project, name)) as file:
        sample, candidates = (torch.from_numpy(file[key]).float() for key in ("sample", "candidates"))
        middles_yx, small = (file["places"] + 0.5) * CELL_PX, bool(file["small"])
    new_tree = lines_near([label.points for label in labels if label.photograph == name and label.new])
    mean = sample.mean(dim=0)
    is_clear = ~near(middles_yx[:, ::-1], new_tree, CLEARANCE_PX)
    return PhotographSample(sample - mean, candidates[is_clear] - mean, mean, small)


def learning_folder(project: Project, network: CrackMap) -> Path:
    """Returns the folder of the features that this backbone with its weights computes."""
    facts = repr((network.backbone, sorted(network.weights.items())))
    return project.folder / FOLDER_NAME / hashlib.blake2b(facts.encode(), digest_size=6).hexdigest()


def _correction_file(folder: Path, label: Label) -> Path:
    """Returns a path that changes with the label's points, some of which later corrections take away."""
    digest = hashlib.blake2b(np.round(label.points).tobytes(), digest_size=4).hexdigest()
    return folder / f"correction-{label.number}-{digest}.npz"


def _photograph_file(folder: Path, project: Project, name: str) -> Path:
    """Returns a path that changes with the content of the photograph."""
    return folder / f"photograph-{key_of_name(name)}-{project.picture_of(name)}.npz"


def _cells_of(points: Array, grid_hw: tuple[int, int]) -> Array:
    """Returns row and column (n, 2) of the cells that contain `points` (n, 2), x and y; each cell once."""
    cells = (points[:, ::-1] // CELL_PX).astype(int).clip(0, np.array(grid_hw) - 1)
    return np.unique(cells, axis=0)


def _write_photograph(project: Project, key: str, cells: PhotographCells, path: Path) -> None:
    rng, photograph = np.random.default_rng(0), project.photograph(key)
    all_cells = np.argwhere(np.ones(cells.grid_hw, bool))
    chosen = rng.permutation(few_windows(all_cells, SAMPLE_WINDOWS, rng))[:SAMPLE_CELLS]
    probability = read_heat(folder_of(project.folder, photograph), project.inspected[key]).probability
    marked = np.argwhere(probability[: cells.grid_hw[0], : cells.grid_hw[1]] > MIN_PROBABILITY)
    candidates = rng.permutation(few_windows(marked, CANDIDATE_WINDOWS, rng))[:CANDIDATE_CELLS]
    features = {"sample": cells.at(chosen), "candidates": cells.at(candidates)}
    _write(path, **features, places=torch.from_numpy(candidates), small=torch.tensor(cells.small))


def _write(path: Path, **tensors: Tensor) -> None:
    buffer = io.BytesIO()
    arrays = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).numpy() for name, tensor in tensors.items()
    }
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
