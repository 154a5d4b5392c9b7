"""The cells that a project learns from, computed once and kept in its folder: of corrections, and of their photographs.

A correction's cells are those of its lines; a photograph's are a sample of all, whose mean and median the logits are
taken from, and of those that its map marks or nearly marks, by which the level is set.
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
OF_CORRECTION, CORRECTION_WINDOWS = 48, 6  # cells, and windows that they may lie in: 0.05 s each
SAMPLE, SAMPLE_WINDOWS = 1200, 24
CANDIDATES, CANDIDATE_WINDOWS = 1200, 24
NEARLY = 0.27  # probability from which on a cell is a candidate: a log-odd below the threshold
CLEAR_PX = 16.0  # of corrections that say something new, within which a cell is no candidate


@dataclass(frozen=True)
class PhotographSample:
    """Features (n, channels) of a `sample` of a photograph's cells and of `candidates`, less the `mean` (channels,) of
    the sample; whether it is `small`."""

    sample: Tensor
    candidates: Tensor
    mean: Tensor
    small: bool

    def median_of(self, weight: Tensor) -> float:
        """Of the logits of its cells, less those of their mean."""
        return float((self.sample @ weight).median())


def compute_cells(project: Project, network: CrackMap, labels: Sequence[Label]) -> list[Label]:
    """Write the cells of labels whose files are not there yet, and return the labels whose cells are there.

    A photograph is read once for all of its labels; those of one that cannot be read are logged and left out.
    """
    folder, missing = learning_folder(project, network), defaultdict[str, list[Label]](list)

    def is_kept(label: Label) -> bool:
        of = _photograph_file(folder, project, label.photograph)
        return _correction_file(folder, label).is_file() and of.is_file()

    for label in labels:
        if not is_kept(label):
            missing[label.photograph].append(label)
    unread = set[str]()
    for name, own in missing.items():
        try:
            _compute(project, network, project.key_of(name), own)
        except (OSError, ValueError) as error:
            if is_full(error):
                raise
            log.warning("nothing is learned of %s: %s", name, error)
            unread.add(name)
    return [label for label in labels if label.photograph not in unread or is_kept(label)]


def _compute(project: Project, network: CrackMap, key: str, labels: Sequence[Label]) -> None:
    folder = learning_folder(project, network)
    project.grey_of(key)  # that is the picture of which people spoke
    image = whole_picture(project.photograph(key).path, megapixels=project.options.max_megapixels)
    cells, path = PhotographCells(network, image), _photograph_file(folder, project, labels[0].photograph)
    if not path.is_file():
        _write_photograph(project, key, cells, path)
    for label in labels:
        places = _cells_of(label.points, cells.grid_hw)
        rng = np.random.default_rng(label.number)
        chosen = rng.permutation(few_windows(places, CORRECTION_WINDOWS, rng))[:OF_CORRECTION]
        _write(_correction_file(folder, label), features=cells.at(chosen))


def kept_cells(project: Project, network: CrackMap, label: Label) -> Tensor:
    """Features (n, channels) of a label that `compute_cells` has seen."""
    with np.load(_correction_file(learning_folder(project, network), label)) as file:
        return torch.from_numpy(file["features"]).float()


def kept_sample(project: Project, network: CrackMap, name: str, labels: Iterable[Label]) -> PhotographSample:
    """Of the photograph `name`, of which `compute_cells` has seen a label; no candidate lies where `labels` say
    something that the map did not."""
    with np.load(_photograph_file(learning_folder(project, network), project, name)) as file:
        sample, candidates = (torch.from_numpy(file[each]).float() for each in ("sample", "candidates"))
        places, small = (file["places"] + 0.5) * CELL_PX, bool(file["small"])
    new = lines_near([label.points for label in labels if label.photograph == name and label.new])
    mean = sample.mean(dim=0)
    return PhotographSample(sample - mean, candidates[~near(places[:, ::-1], new, CLEAR_PX)] - mean, mean, small)


def learning_folder(project: Project, network: CrackMap) -> Path:
    """Where the features of this backbone's weights lie."""
    facts = repr((network.backbone, sorted(network.weights.items())))
    return project.folder / LEARNING / hashlib.blake2b(facts.encode(), digest_size=6).hexdigest()


def _correction_file(folder: Path, label: Label) -> Path:
    """Changes with the places: what a later correction contradicts is left out of them."""
    places = hashlib.blake2b(np.round(label.points).tobytes(), digest_size=4).hexdigest()
    return folder / f"correction-{label.number}-{places}.npz"


def _photograph_file(folder: Path, project: Project, name: str) -> Path:
    """Changes with the picture."""
    return folder / f"photograph-{key_of_name(name)}-{project.picture_of(name)}.npz"


def _cells_of(points: Array, grid_hw: tuple[int, int]) -> Array:
    """Rows and columns (n, 2) of the cells that points (n, 2), x and y, lie in, each once."""
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
    file = io.BytesIO()
    arrays = {name: (each.half() if each.is_floating_point() else each).numpy() for name, each in tensors.items()}
    np.savez(file, **arrays)  # type: ignore[arg-type]
    write_atomically(path, file.getvalue())
