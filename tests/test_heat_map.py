"""The heat map of a whole photograph: one pass, in bands, by crops."""

from copy import deepcopy
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from conftest import some
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import pil_to_tensor

from crack_lightning.engines.maps import LogitMapper, logit_mapper
from crack_lightning.engines.parts import PARTS
from crack_lightning.inference.geometry import MapShape, grid_of, overlapping, tiles
from crack_lightning.inference.heat import Heat, heat_of, merged
from crack_lightning.inference.photographs import PhotographReader, WindowScale, window_px
from crack_lightning.inference.tiles import logit_map
from crack_lightning.inference.window_maps import (
    probability_map,
    shape_of_map,
    to_scale,
    window_logits,
    window_logits_by_crops,
)
from crack_lightning.models.backbones import BACKBONES
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.models.decision import Decision

IN_PARTS = ("mobilenet_v2", "resnet18")


@cache
def made(backbone: str) -> CrackClassifier:
    """Not to be changed: to make 138 million random weights takes a second."""
    torch.manual_seed(0)
    decision = Decision(("Negative", "Positive"), "Positive")
    return CrackClassifier(backbone=backbone, decision=decision, image_size=64, dropout=0.0, freeze=True).eval()


def classifier_of(backbone: str = "mobilenet_v2", image_size: int = 64, **options: object) -> CrackClassifier:
    if image_size == 64 and not options:
        return deepcopy(made(backbone))
    torch.manual_seed(0)
    decision = {name: options.pop(name) for name in ("threshold", "temperature") if name in options}
    names = {"decision": Decision(("Negative", "Positive"), "Positive", **decision)}  # type: ignore[arg-type]
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


def heat_of_photograph(network: CrackClassifier, image: Image.Image, *, windows: str = "auto") -> Heat:
    reader = PhotographReader(network, engine="eager", windows=windows)
    return reader.heat(reader.scaled(image, WindowScale(64)))


def lively(network: CrackClassifier) -> CrackClassifier:
    """With layers scaled as training scales them: of what a fresh network's outermost pixels say next to nothing is
    left at the end, and seams could not be seen."""
    layers = [layer for layer in network.features.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 1.0
    network.features.train()
    with torch.no_grad():
        network.feature_map(pil_to_tensor(photograph(256, 256, seed=1))[None])
    return network.eval()


@pytest.mark.parametrize("backbone", some(PARTS, *IN_PARTS))
def test_tiles_of_every_cut_backbone_give_what_one_pass_gives(backbone: str) -> None:
    # One part after another in nine tiles or more, the others whole: seams would show.
    mapper = logit_mapper(lively(classifier_of(backbone)), "eager")
    image, stride = photograph(345, 300), 1
    expected, whole = mapper(pil_to_tensor(image)[None]), [replace(part, cell_bytes=1) for part in mapper.parts]
    for number, part in enumerate(mapper.parts):
        small = replace(part, cell_bytes=2**30 // (300 // stride // 3 + 2 * part.reach) ** 2)
        stride *= part.stride
        parts = [*whole[:number], small, *whole[number + 1 :]]
        found = logit_map(LogitMapper(mapper.steps, parts, 1), image, memory_mb=1024)
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max(), part


@pytest.mark.parametrize("engine", ["eager", "folded", "onnxruntime"])
@pytest.mark.parametrize("size", [(190, 1400), (1403, 191)])
def test_tiles_give_what_the_network_gives_in_one_pass(engine: str, size: tuple[int, int]) -> None:
    network = lively(classifier_of())
    image = photograph(*size)
    scaled = to_scale(image, window_px=64, image_size=64, shape=shape_of_map(network))
    logits = window_logits(scaled, logit_mapper(network, engine), memory_mb=4)
    with torch.no_grad():
        whole = network.head(network.feature_map(pil_to_tensor(image)[None]).movedim(1, 3)).movedim(3, 1)
    assert logits.shape == (2, *scaled.grid.windows_hw)
    assert (logits - functional.avg_pool2d(whole, 2, stride=1)[0]).abs().max() < 1e-4


def test_less_memory_makes_smaller_tiles() -> None:
    # Counted, not timed: the largest input that a step of the network sees.
    mapper = logit_mapper(classifier_of(), "eager")
    image = photograph(700, 900)
    for memory_mb in (4.0, 16.0, 64.0):
        taken: list[float] = []

        def watched(number: int, inputs: Tensor, taken: list[float] = taken) -> Tensor:
            taken.append(inputs.shape[2] * inputs.shape[3] * mapper.parts[number].cell_bytes)
            return mapper.steps[number](inputs)

        steps = [partial(watched, number) for number in range(len(mapper.steps))]
        logit_map(LogitMapper(steps, mapper.parts, 1), image, memory_mb=memory_mb)
        assert memory_mb * 2**18 < max(taken) <= memory_mb * 2**20


@pytest.mark.parametrize("backbone", some(PARTS, *IN_PARTS))
def test_a_window_has_its_place_in_photographs_of_any_size(backbone: str) -> None:
    network = classifier_of(backbone)
    for size in ((200, 140), (64, 65), (95, 96)):
        heat = heat_of_photograph(network, photograph(*size))
        assert heat.probability.shape == (len(heat.y_px), len(heat.x_px))


def test_the_map_of_a_patch_has_its_logits_as_mean() -> None:
    network = classifier_of()
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(logit_mapper(network, "eager")(images).mean(dim=(2, 3)), network(images), atol=1e-5)


@pytest.mark.parametrize("backbone", some(sorted(BACKBONES), *IN_PARTS, "mobilenet_v3_small", "shufflenet_v2_x1_0"))
def test_the_map_is_exact_for_every_backbone(backbone: str) -> None:
    network = classifier_of(backbone)
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(logit_mapper(network, "eager")(images).mean(dim=(2, 3)), network(images), atol=1e-4)


def test_onnx_runtime_gives_the_same_map_at_any_size() -> None:
    network = classifier_of()
    exported, own = logit_mapper(network, "onnxruntime"), logit_mapper(network, "eager")
    for size in ((64, 64), (100, 333)):
        images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
        assert torch.allclose(exported(images), own(images), atol=1e-3)


def test_a_window_by_crops_equals_the_classifier_on_the_crop() -> None:
    network = classifier_of()
    image = photograph(160, 128)
    scaled = to_scale(image, window_px=64, image_size=64, shape=shape_of_map(network))
    logits = window_logits_by_crops(scaled, lambda crops: network(crops).detach())
    assert logits.shape == (2, *scaled.grid.windows_hw)
    crop = torch.from_numpy(np.asarray(image.crop((32, 64, 96, 128))).copy()).permute(2, 0, 1)[None]
    assert torch.allclose(logits[:, 2, 1], network(crop)[0], atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (10, 3), (2000, 20)])
def test_a_photograph_smaller_than_a_window_has_one_at_least(size: tuple[int, int]) -> None:
    network = classifier_of()
    heat = heat_of_photograph(network, photograph(*size))
    assert heat.probability.size >= 1
    assert ((heat.probability >= 0) & (heat.probability <= 1)).all()


def test_a_backbone_that_sees_the_whole_uses_crops() -> None:
    network = classifier_of("mobilenet_v3_small")
    image = photograph(100, 64)
    heat = heat_of_photograph(network, image)
    with torch.no_grad():
        crop = torch.from_numpy(np.asarray(image.crop((0, 0, 64, 64))).copy()).permute(2, 0, 1)[None]
        expected = network.predict_proba(crop)[0, 1].item()
    assert heat.probability[0, 0] == pytest.approx(expected, abs=1e-5)


def test_windows_are_cut_out_where_the_user_wants_it() -> None:
    network, image = lively(classifier_of()), photograph(128, 96)
    heat = heat_of_photograph(network, image, windows="crops")
    with torch.no_grad():
        crop = pil_to_tensor(image.crop((32, 32, 96, 96)))[None]
        expected = network.predict_proba(crop)[0, 1].item()
    assert heat.probability[1, 1] == pytest.approx(expected, abs=1e-5)
    of_map = heat_of_photograph(network, image, windows="map")
    assert of_map.probability.shape == heat.probability.shape
    assert abs(of_map.probability[1, 1] - expected) > 1e-4  # it sees what lies around the crop


def test_a_map_of_an_uncuttable_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"windows=map: mobilenet_v3_small .* windows=auto"):
        PhotographReader(classifier_of("mobilenet_v3_small"), engine="eager", windows="map")


def test_probabilities_are_calibrated() -> None:
    network = classifier_of(temperature=2.0)
    logits = torch.tensor([[[0.0]], [[4.0]]])
    assert probability_map(network, logits).item() == pytest.approx(1 / (1 + np.exp(-2)))


@pytest.mark.parametrize("size_hw", [(64, 64), (1, 5000), (1000, 37), (2398, 2835)])
def test_overlapping_tiles_count_every_cell_once_and_keep_their_size(size_hw: tuple[int, int]) -> None:
    found = overlapping(size_hw, most=10_000, reach=12, stride=4)
    counted = np.zeros(size_hw, int)
    for down, across in found:
        counted[down.start : down.end, across.start : across.end] += 1
        assert (down.high - down.low) * (across.high - across.low) <= 10_000
        for span, size in ((down, size_hw[0]), (across, size_hw[1])):
            assert span.low == max(0, span.start - 12)
            assert span.high == min(size, span.end + 12)
            assert span.start % 4 == span.low % 4 == 0
    assert (counted == 1).all()


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
    assert shape_of_map(classifier_of(image_size=180)) == MapShape(32, 6)


def test_the_highest_of_several_scales_counts() -> None:
    y = x = np.array([10.0, 30.0])
    one = Heat(np.array([[0.1, 0.2], [0.3, 0.4]], np.float32), y, x, (40, 40), 20)
    other = Heat(np.array([[0.35]], np.float32), np.array([20.0]), np.array([20.0]), (40, 40), 40)
    assert merged([one, other]).probability == pytest.approx(np.array([[0.35, 0.35], [0.35, 0.4]]))


def test_between_two_middles_the_probability_is_between_theirs() -> None:
    grid = grid_of((96, 96), window_px=64, image_size=64, shape=MapShape(32, 2))
    heat = heat_of(np.array([[0.0, 1.0], [0.0, 1.0]]), grid)
    assert heat.at(np.array([48.0]), np.array([0.0, 32.0, 48.0, 64.0, 96.0])) == pytest.approx(
        np.array([[0.0, 0.0, 0.5, 1.0, 1.0]])
    )
