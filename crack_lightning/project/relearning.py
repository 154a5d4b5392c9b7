"""Trains the head anew on a project's corrections, judges it on corrections held out of training, and accepts it."""

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
from crack_lightning.project.drawn_cells import drawn_cells
from crack_lightning.project.learning_cells import PhotographSample, compute_cells, kept_cells, kept_sample
from crack_lightning.project.project import CHECKPOINTS, Project, map_of
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

FOLDS = 5  # groups of photographs, or of corrections, that are left out in turn
LEAST = 2  # corrections
BASE = "the first map"


@dataclass(frozen=True)
class Proposal:
    """A head trained on corrections: its network; cells that corrections name, counted by the first map (`before`) and
    by heads that were not trained on them (`after`); how many corrections of how many photographs; whether whole
    photographs were left out; and the seconds that it took."""

    network: CrackMap
    before: CellCounts
    after: CellCounts
    corrections: int
    photographs: int
    apart: bool
    seconds: float


def relearn(project: Project) -> Proposal:
    """Trains the head that the project began with on all of its corrections, and judges it by leaving some out.

    Raises UserError where there are too few corrections to learn from.
    """
    base = base_network(project)
    labels = compute_cells(project, base, labels_of(project.active))
    if len(labels) < LEAST:
        raise UserError(
            f"{len(labels)} corrections teach nothing: accept, reject or draw at least {LEAST} cracks first"
        )
    drawn = drawn_cells(base, project.options.cache_dir)
    started_s = time.perf_counter()
    lesson = _lesson(project, base, labels)
    start = start_of(base.weight.cpu(), base.level, lesson.deviation, drawn)
    all_numbers = range(len(labels))
    step = corrected_step(start, lesson.corrected(all_numbers))
    network, shift = copy.deepcopy(base), lesson.shift(lesson.head(moved_weight(start, step)))
    network.weight.copy_(moved_weight(start, step))
    network.set_levels({"level": base.level + shift, "small_level": base.small_level + shift})
    groups, apart = _folds(labels)
    before, after = list[CellCounts](), list[CellCounts]()
    for group in sorted(set(groups)):
        training = [k for k in all_numbers if groups[k] != group]
        left_out = [k for k in all_numbers if groups[k] == group]
        fold_step = corrected_step(start, lesson.corrected(training), first=step)
        before += [lesson.counted(k, lesson.first, 0.0) for k in left_out]
        fold_head = lesson.head(moved_weight(start, fold_step))
        fold_shift = lesson.shift(fold_head)
        after += [lesson.counted(k, fold_head, fold_shift) for k in left_out]
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
    """Writes the proposed map as a checkpoint of the project, which marks from now on; the former ones stay."""
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
    log.info("the crack map of the site: %s", path)
    return path


def checkpoints_of(project: Project) -> dict[str, bool]:
    """Returns the maps that the project may mark with, by name, and whether each does: its first map, then the
    site's."""
    maps = {BASE: project.settings.ckpt_path == project.settings.base_path}
    for path in sorted(
        (project.folder / CHECKPOINTS).glob("site-*.ckpt"), key=lambda path: (len(path.name), path.name)
    ):
        maps[path.name] = str(path) == project.settings.ckpt_path
    return maps


def use_checkpoint(project: Project, name: str) -> None:
    """Makes another map of `checkpoints_of` the one that marks. Raises UserError for an unknown name."""
    if name not in checkpoints_of(project):
        raise UserError(f"there is no map {name[:80]!r} in this project")
    path = project.settings.base_path if name == BASE else str(project.folder / CHECKPOINTS / name)
    project.set(ckpt_path=path)


@dataclass(frozen=True)
class _Head:
    """Weights (channels,), and the median of their logits in each photograph, less those of its mean."""

    weight: Tensor
    medians: dict[str, float]


@dataclass(frozen=True)
class _Lesson:
    """The training data of a head: labels with their cells, less the mean of their photograph, the samples of
    photographs, the base map, and its head."""

    base: CrackMap
    labels: Sequence[Label]
    cells: Sequence[Tensor]
    samples: dict[str, PhotographSample]
    first: _Head

    @property
    def deviation(self) -> Tensor:
        """Returns the deviation of features (channels,), averaged over the photographs."""
        return torch.stack([sample.sample.std(dim=0) for sample in self.samples.values()]).mean(dim=0) + 1e-3

    def corrected(self, numbers: Sequence[int]) -> CorrectedCells:
        """Returns the cells of some labels to train on."""
        labels = [self.labels[k] for k in numbers]
        features = [self.cells[k] for k in numbers]
        sizes = [len(cells) for cells in features]
        targets = torch.repeat_interleave(torch.tensor([float(label.crack) for label in labels]), torch.tensor(sizes))
        names = [label.photograph for label in labels]
        offsets = torch.tensor([-self.first.medians[name] - self.level(name) for name in names])
        counts = correction_weights(sizes, [label.weight for label in labels])
        return CorrectedCells(
            torch.cat(features), targets, counts, torch.repeat_interleave(offsets, torch.tensor(sizes))
        )

    def level(self, name: str) -> float:
        """Returns the level of the base map for a photograph."""
        return self.base.small_level if self.samples[name].small else self.base.level

    def head(self, weight: Tensor) -> _Head:
        """Returns the head of these weights."""
        return _Head(weight, {name: sample.median_of(weight) for name, sample in self.samples.items()})

    def odds(self, features: Tensor, name: str, head: _Head) -> Tensor:
        """Returns logits (n,) of cells of a photograph above its median and the level of the base map."""
        return features @ head.weight - head.medians[name] - self.level(name)

    def shift(self, head: _Head) -> float:
        """Returns by how much the level rises so that as much of what nobody corrected stays marked."""
        pairs = [
            [self.odds(sample.candidates, name, either) for either in (self.first, head)]
            for name, sample in self.samples.items()
        ]
        before, after = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return level_shift(before, after)

    def counted(self, number: int, head: _Head, shift: float) -> CellCounts:
        """Counts the cells of a label that a head marks."""
        label = self.labels[number]
        odds = self.odds(self.cells[number], label.photograph, head) - shift
        marked = int((odds >= 0).sum())
        return CellCounts(marked, marked * label.crack, len(odds) * label.crack, marked * label.crack)


def _lesson(project: Project, base: CrackMap, labels: Sequence[Label]) -> _Lesson:
    names = dict.fromkeys(label.photograph for label in labels)
    samples = {name: kept_sample(project, base, name, labels) for name in names}
    weight = base.weight.cpu()
    cells = [kept_cells(project, base, label) - samples[label.photograph].mean for label in labels]
    first = _Head(weight, {name: sample.median_of(weight) for name, sample in samples.items()})
    return _Lesson(base, labels, cells, samples, first)


def _folds(labels: Sequence[Label]) -> tuple[list[int], bool]:
    """Returns the group of each label, and whether groups are whole photographs, as they are unless there is only
    one."""
    names = list(dict.fromkeys(label.photograph for label in labels))
    if len(names) > 1:
        return [names.index(label.photograph) % FOLDS for label in labels], True
    return [number % FOLDS for number in range(len(labels))], False
