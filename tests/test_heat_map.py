"""The heat map of a whole photograph: one pass, in bands, by crops."""

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.inference.geometry import bands, grid_of, tiles
from crack_lightning.inference.heat import Heat, heat_of, merged
from crack_lightning.inference.heat_map import (
    photograph_grid,
    probability_map,
    shape_of_map,
    window_logits,
    window_logits_by_crops,
)
from crack_lightning.inference.photographs import PhotographReader, Scale, window_px
from crack_lightning.models.backbones import BACKBONES, SEES_PX
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.logit_maps import logit_mapper


def classifier_of(backbone: str = "mobilenet_v2", image_size: int = 64, **options: object) -> CrackClassifier:
    torch.manual_seed(0)
    names = {"class_names": ["Negative", "Positive"], "positive_class": "Positive"}
    network = CrackClassifier(
        backbone=backbone,
        image_size=image_size,
        dropout=0.0,
        freeze=True,
        **names,
        **options,  # type: ignore[arg-type]
    )
    return network.eval()


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("backbone", SEES_PX)
def test_no_place_of_the_map_sees_farther_than_is_known_of_its_backbone(backbone: str) -> None:
    # Perturbed by the gradient: what a place does not see has none.
    network = classifier_of(backbone)
    side = 2 * SEES_PX[backbone] + 128
    images = torch.rand(1, 3, side, side, requires_grad=True)
    middle = network.features(network.normalise(images))[0, :, side // 64, side // 64]
    middle.sum().backward()
    assert images.grad is not None
    seen = images.grad[0].abs().sum(dim=(0, 2)).nonzero().flatten()
    centre = 32 * (side // 64) + 16
    assert centre - int(seen[0]) - 32 <= SEES_PX[backbone]
    assert int(seen[-1]) - centre - 32 <= SEES_PX[backbone]


@pytest.mark.parametrize("engine", ["eager", "folded"])
def test_bands_give_what_one_pass_gives(engine: str) -> None:
    network = classifier_of()
    image = photograph(190, 1400)
    grid = photograph_grid(network, image, window_px=64)
    mapper = logit_mapper(network, engine)
    one = window_logits(image, grid, mapper, margin_px=256, most_px=1e9)
    assert len(bands(grid, margin_px=256, most_px=190 * 700)) > 3
    several = window_logits(image, grid, mapper, margin_px=256, most_px=190 * 700)
    assert several.shape == one.shape == (2, *grid.windows_hw)
    assert (several - one).abs().max() < 1e-4


@pytest.mark.parametrize("backbone", SEES_PX)
def test_bands_of_every_backbone_that_is_cut_overlap_far_enough(backbone: str) -> None:
    network, margin_px = classifier_of(backbone), SEES_PX[backbone]
    image = photograph(64, 1200)
    grid = photograph_grid(network, image, window_px=64)
    mapper, most_px = logit_mapper(network, "eager"), 64 * (2 * margin_px + 128)
    assert len(bands(grid, margin_px=margin_px, most_px=most_px)) > 3
    one, several = (window_logits(image, grid, mapper, margin_px=margin_px, most_px=most) for most in (1e9, most_px))
    assert (several - one).abs().max() < 1e-4


def test_the_map_of_a_patch_has_its_logits_as_mean() -> None:
    network = classifier_of()
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(logit_mapper(network, "eager")(images).mean(dim=(2, 3)), network(images), atol=1e-5)


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_the_map_is_exact_for_every_backbone(backbone: str) -> None:
    network = classifier_of(backbone)
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(logit_mapper(network, "eager")(images).mean(dim=(2, 3)), network(images), atol=1e-4)


def test_onnx_runtime_gives_the_same_map_for_pictures_of_any_size() -> None:
    network = classifier_of()
    exported, own = logit_mapper(network, "onnxruntime"), logit_mapper(network, "eager")
    for size in ((64, 64), (100, 333)):
        images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
        assert torch.allclose(exported(images), own(images), atol=1e-3)


def test_a_window_by_its_crop_is_what_the_classifier_says_of_the_crop() -> None:
    network = classifier_of()
    image = photograph(160, 128)
    grid = photograph_grid(network, image, window_px=64)
    logits = window_logits_by_crops(image, grid, lambda crops: network(crops).detach())
    assert logits.shape == (2, *grid.windows_hw)
    crop = torch.from_numpy(np.asarray(image.crop((32, 64, 96, 128))).copy()).permute(2, 0, 1)[None]
    assert torch.allclose(logits[:, 2, 1], network(crop)[0], atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (10, 3), (2000, 20)])
def test_a_photograph_smaller_than_a_window_has_one_at_least(size: tuple[int, int]) -> None:
    network = classifier_of()
    heat = PhotographReader(network, engine="eager", memory_mb=900).heat(photograph(*size), Scale(64))
    assert heat.probability.size >= 1
    assert ((heat.probability >= 0) & (heat.probability <= 1)).all()


def test_a_backbone_that_looks_at_the_whole_is_read_by_crops() -> None:
    network = classifier_of("mobilenet_v3_small")
    image = photograph(100, 64)
    heat = PhotographReader(network, engine="eager", memory_mb=900).heat(image, Scale(64))
    with torch.no_grad():
        crop = torch.from_numpy(np.asarray(image.crop((0, 0, 64, 64))).copy()).permute(2, 0, 1)[None]
        expected = network.predict_proba(crop)[0, 1].item()
    assert heat.probability[0, 0] == pytest.approx(expected, abs=1e-5)


def test_probabilities_are_calibrated() -> None:
    network = classifier_of(temperature=2.0)
    logits = torch.tensor([[[0.0]], [[4.0]]])
    assert probability_map(network, logits).item() == pytest.approx(1 / (1 + np.exp(-2)))


def test_a_band_counts_every_cell_once() -> None:
    for height in (64, 1000, 2398, 5001):
        grid = grid_of((height, 800), window_px=180, image_size=180, stride=32, window_cells=6)
        found = bands(grid, margin_px=256, most_px=800 * 900)
        assert sum(band.cells for band in found) == grid.cells_hw[0]
        assert all(0 <= band.top < band.bottom <= grid.scaled_hw[0] for band in found)


def test_tiles_cover_the_photograph_without_overlap() -> None:
    boxes = [box for _, _, box in tiles((700, 1000), 256)]
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) == 700 * 1000
    assert len(boxes) == 3 * 4
    assert [box for _, _, box in tiles((1, 1), 256)] == [(0, 0, 1, 1)]


def test_windows_follow_the_millimetres_where_both_are_known() -> None:
    network = classifier_of(patch_px=256, mm_per_px=0.2)
    assert window_px(network, tile_px=None, mm_per_px=0.4) == 128
    assert window_px(network, tile_px=None, mm_per_px=None) == 256
    assert window_px(network, tile_px=100, mm_per_px=0.4) == 100
    assert window_px(classifier_of(), tile_px=None, mm_per_px=0.4) == 64


def test_the_size_of_the_map_is_that_of_the_backbone() -> None:
    assert shape_of_map(classifier_of(image_size=180)) == (32, 6)


def test_the_highest_of_several_scales_counts() -> None:
    y = x = np.array([10.0, 30.0])
    one = Heat(np.array([[0.1, 0.2], [0.3, 0.4]], np.float32), y, x, (40, 40), 20)
    other = Heat(np.array([[0.35]], np.float32), np.array([20.0]), np.array([20.0]), (40, 40), 40)
    assert merged([one, other]).probability == pytest.approx(np.array([[0.35, 0.35], [0.35, 0.4]]))
    places = np.arange(1.25, 40, 2.5)
    assert merged([one]).share_above(0.3) == pytest.approx((one.at(places, places) >= 0.3).mean())


def test_between_two_middles_the_probability_is_between_theirs() -> None:
    grid = grid_of((96, 96), window_px=64, image_size=64, stride=32, window_cells=2)
    heat = heat_of(np.array([[0.0, 1.0], [0.0, 1.0]]), grid, 64)
    assert heat.at(np.array([48.0]), np.array([0.0, 32.0, 48.0, 64.0, 96.0])) == pytest.approx(
        np.array([[0.0, 0.0, 0.5, 1.0, 1.0]])
    )
