"""What labelled patches change in the head of a crack map."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patch_scores import best_above_mean, logits_by, prepared_patch, score_and_slope
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.training.patch_head import DEFAULT_PULL, fit_patches

LEVELS = {"level": 2.0, "scale": 0.5}


def patches(count: int, *, told: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Scores that say little, slopes of which the second says `told` times as much, and targets."""
    generator = torch.Generator().manual_seed(seed)
    targets = (torch.arange(count) % 2).float()
    scores = 2 + 0.5 * (targets - 0.5) + 0.5 * torch.randn(count, generator=generator)
    slopes = torch.randn(count, 6, generator=generator)
    slopes[:, 1] += told * (targets - 0.5)
    return scores, slopes, targets


def each(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_labels_move_the_weight_that_tells_patches_apart() -> None:
    fit = fit_patches(*patches(400, told=4.0), each(400), **LEVELS)
    assert fit.change.abs().argmax() == 1
    assert fit.change[1] > 0
    scores, slopes, targets = patches(400, told=4.0, seed=1)
    after = (scores + slopes @ fit.change - fit.level) / fit.scale
    assert ((after > 0) == (targets == 1)).float().mean() > 0.95


def test_many_labels_that_say_much_are_pulled_less_than_few() -> None:
    many = fit_patches(*patches(400, told=4.0), each(400), **LEVELS)
    few = fit_patches(*patches(20, told=4.0), each(20), **LEVELS)
    assert many.pull is not None
    assert many.pull < DEFAULT_PULL == few.pull
    assert few.change.norm() < 0.2 * many.change.norm()


def test_the_map_moves_less_than_what_patches_are_judged_by() -> None:
    fit = fit_patches(*patches(400, told=4.0), each(400), **LEVELS)
    assert 0 < fit.map_change.norm() < 0.5 * fit.change.norm()


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_patches_of_one_class_leave_the_head_where_it_is(target: float) -> None:
    scores, slopes, targets = patches(60, told=4.0)
    fit = fit_patches(scores, slopes, torch.full_like(targets, target), each(60), **LEVELS)
    assert fit.pull is None
    assert not fit.change.any()
    assert torch.isfinite(torch.tensor([fit.level, fit.scale])).all()
    assert fit.scale > 0


def test_patches_of_one_group_can_teach() -> None:
    fit = fit_patches(*patches(200, told=4.0), ["wall"] * 200, **LEVELS)
    assert fit.pull == DEFAULT_PULL


def test_a_slope_is_what_the_score_changes_by() -> None:
    weight = (0.05 * torch.randn(552, generator=torch.Generator().manual_seed(0))).tolist()
    decision = Decision(("sound", "cracked"), "cracked")
    network = CrackMap(backbone="mobilenet_v2", decision=decision, state_dict=None, weight=weight)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8))
    prepared = prepared_patch(CrackMapReader(network, engine="eager"), image)
    _, slope = score_and_slope(network, prepared)
    step = 1e-3 * torch.randn(552, generator=torch.Generator().manual_seed(1))
    before, after = (
        best_above_mean(logits_by(network, weight, prepared))
        for weight in (network.patch_weight, network.patch_weight + step)
    )
    assert float(after - before) == pytest.approx(float(slope @ step), rel=0.02, abs=1e-5)
