"""Trains the head again on a project's corrections, evaluates it on corrections left out of training, accepts it."""

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from crack_lightning.corrections.correction_labels import Label, labels_of
from crack_lightning.errors import UserError
from crack_lightning.evaluation.cell_counts import CellCounts, total
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.map_checkpoint import load_network, write_map
from crack_lightning.project.learning_cells import PhotographSample, compute_cells, kept_cells, kept_sample
from crack_lightning.project.project import CHECKPOINTS, Project, map_of
from crack_lightning.project.synthetic_cells import synthetic_cells
from crack_lightning.runs.inspection.inspection import content_of
from crack_lightning.training.site_head import (
    CorrectedCells,
    corrected_step,
    correction_weights,
    level_shift,
    moved_weight,
    start_of,
)

log = logging.getLogger(__name__)

FOLDS = 5  # groups of photographs, or of corrections, each left out of training once
MIN_CORRECTIONS = 2
BASE_NAME = "the first map"


@dataclass(frozen=True)
class Proposal:
    """A head trained on corrections, with its evaluation on the cells of these corrections.

    `network`: the map with the new head. `before`: counts of the corrected cells that the first map marks. `after`:
    the same for heads that were trained without these cells. `corrections`, `photographs`: how many it was trained on.
    `apart`: whether whole photographs were left out in the evaluation. `seconds`: how long the training took.
    """

    network: CrackMap
    before: CellCounts
    after: CellCounts
    corrections: int
    photographs: int
    apart: bool
    seconds: float


def relearn(project: Project) -> Proposal:
    """Trains the first map's head on all corrections, and evaluates the training by cross-validation.

    Raises UserError where there are too few corrections to learn from.
    """
    base = base_network(project)
    labels = compute_cells(project, base, labels_of(project.active))
    if len(labels) < MIN_CORRECTIONS:
        raise UserError(
            f"{len(labels)} corrections are too few to learn from: accept, reject or draw at least "
            f"{MIN_CORRECTIONS} cracks first"
        )
    kept = synthetic_cells(base, project.options.cache_dir)
    started_s = time.perf_counter()
    training = _training_data(project, base, labels)
    start = start_of(base.weight.cpu(), base.level, training.deviation, kept)
    all_indices = range(len(labels))
    step = corrected_step(start, training.corrected(all_indices))
    network, shift = copy.deepcopy(base), training.shift(training.head(moved_weight(start, step)))
    network.weight.copy_(moved_weight(start, step))
    network.set_levels({"level": base.level + shift, "small_level": base.small_level + shift})
    groups, apart = _folds(labels)
    before, after = list[CellCounts](), list[CellCounts]()
    for group in sorted(set(groups)):
        trained_on = [k for k in all_indices if groups[k] != group]
        left_out = [k for k in all_indices if groups[k] == group]
        fold_step = corrected_step(start, training.corrected(trained_on), first=step)
        before += [training.counts(k, training.first, 0.0) for k in left_out]
        fold_head = training.head(moved_weight(start, fold_step))
        fold_shift = training.shift(fold_head)
        after += [training.counts(k, fold_head, fold_shift) for k in left_out]
    return Proposal(
        network,
        total(before),
        total(after),
        len(labels),
        len({label.photograph for label in labels}),
        apart,
        time.perf_counter() - started_s,
    )


def base_network(project: Project) -> CrackMap:
    """Returns the map that the project began with."""
    return map_of(load_network(project.settings.base_path), project.settings.base_path)


def accept(project: Project, proposal: Proposal) -> Path:
    """Writes the proposed map as a checkpoint, which marks the cracks from now on; earlier checkpoints stay."""
    folder = project.folder / CHECKPOINTS
    numbers = [int(path.stem.partition("-")[2]) for path in folder.glob("site-*.ckpt") if path.stem[5:].isdigit()]
    path = folder / f"site-{max(numbers, default=0) + 1}.ckpt"
    provenance = {
        "corrections": proposal.corrections,
        "photographs": proposal.photographs,
        "base": content_of(project.settings.base_path),
        "precision_before": proposal.before.precision,
        "precision_after": proposal.after.precision,
        "recall_before": proposal.before.recall,
        "recall_after": proposal.after.recall,
    }
    write_map(path, proposal.network, provenance)
    project.set(ckpt_path=str(path))
    log.info("the crack map of this site: %s", path)
    return path


def checkpoints_of(project: Project) -> dict[str, bool]:
    """Returns the names of the project's maps, each with whether it is in use: the first map, then those trained on
    corrections."""
    maps = {BASE_NAME: project.settings.ckpt_path == project.settings.base_path}
    for path in sorted(
        (project.folder / CHECKPOINTS).glob("site-*.ckpt"), key=lambda path: (len(path.name), path.name)
    ):
        maps[path.name] = str(path) == project.settings.ckpt_path
    return maps


def use_checkpoint(project: Project, name: str) -> None:
    """Makes the map `name` of `checkpoints_of` the one in use. Raises UserError for an unknown name."""
    if name not in checkpoints_of(project):
        raise UserError(f"there is no map {name[:80]!r} in this project")
    path = project.settings.base_path if name == BASE_NAME else str(project.folder / CHECKPOINTS / name)
    project.set(ckpt_path=path)


@dataclass(frozen=True)
class _Head:
    """A head: its `weight` (channels,), and by photograph the median logit of the sample less the logit of the mean."""

    weight: Tensor
    medians: dict[str, float]


@dataclass(frozen=True)
class _TrainingData:
    """The data that heads are trained and evaluated on.

    `base`: the map that learning starts from. `labels`: what corrections say. `cells`: for each label, features
    (n, channels) less the mean of its photograph. `samples`: by photograph. `first`: the head of `base`.
    """

    base: CrackMap
    labels: Sequence[Label]
    cells: Sequence[Tensor]
    samples: dict[str, PhotographSample]
    first: _Head

    @property
    def deviation(self) -> Tensor:
        """Returns the standard deviation of the features (channels,), averaged over the photographs."""
        return torch.stack([sample.sample.std(dim=0) for sample in self.samples.values()]).mean(dim=0) + 1e-3

    def corrected(self, indices: Sequence[int]) -> CorrectedCells:
        """Returns the cells of the labels at `indices`, to train on."""
        labels = [self.labels[k] for k in indices]
        features = [self.cells[k] for k in indices]
        sizes = [len(cells) for cells in features]
        targets = torch.repeat_interleave(torch.tensor([float(label.crack) for label in labels]), torch.tensor(sizes))
        names = [label.photograph for label in labels]
        offsets = torch.tensor([-self.first.medians[name] - self.level(name) for name in names])
        counts = correction_weights(sizes, [label.weight for label in labels])
        return CorrectedCells(
            torch.cat(features), targets, counts, torch.repeat_interleave(offsets, torch.tensor(sizes))
        )

    def level(self, name: str) -> float:
        """Returns the level of the base map for the photograph `name`."""
        return self.base.small_level if self.samples[name].small else self.base.level

    def head(self, weight: Tensor) -> _Head:
        """Returns the head with these weights."""
        return _Head(weight, {name: sample.median_of(weight) for name, sample in self.samples.items()})

    def odds(self, features: Tensor, name: str, head: _Head) -> Tensor:
        """Returns the log-odds (n,) of cells: their logits less their photograph's median and the base map's level."""
        return features @ head.weight - head.medians[name] - self.level(name)

    def shift(self, head: _Head) -> float:
        """Returns by how much the level must rise so that as many of the uncorrected candidates stay marked."""
        pairs = [
            [self.odds(sample.candidates, name, compared) for compared in (self.first, head)]
            for name, sample in self.samples.items()
        ]
        before, after = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return level_shift(before, after)

    def counts(self, index: int, head: _Head, shift: float) -> CellCounts:
        """Returns the counts of the cells of the label at `index` that a head marks, its level raised by `shift`."""
        label = self.labels[index]
        odds = self.odds(self.cells[index], label.photograph, head) - shift
        marked = int((odds >= 0).sum())
        return CellCounts(marked, marked * label.crack, len(odds) * label.crack, marked * label.crack)


def _training_data(project: Project, base: CrackMap, labels: Sequence[Label]) -> _TrainingData:
    names = dict.fromkeys(label.photograph for label in labels)
    samples = {name: kept_sample(project, base, name, labels) for name in names}
    weight = base.weight.cpu()
    cells = [kept_cells(project, base, label) - samples[label.photograph].mean for label in labels]
    first = _Head(weight, {name: sample.median_of(weight) for name, sample in samples.items()})
    return _TrainingData(base, labels, cells, samples, first)


def _folds(labels: Sequence[Label]) -> tuple[list[int], bool]:
    """Returns the group of each label, and whether the groups are whole photographs, as with two or more of them."""
    names = list(dict.fromkeys(label.photograph for label in labels))
    if len(names) > 1:
        return [names.index(label.photograph) % FOLDS for label in labels], True
    return [number % FOLDS for number in range(len(labels))], False
