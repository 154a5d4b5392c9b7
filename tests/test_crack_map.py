import numpy as np
import pytest
import torch
from conftest import some
from PIL import Image
from torch import Tensor

from crack_lightning.engines.cell_maps import crack_mapper, unfold_maps
from crack_lightning.engines.parts import PARTS
from crack_lightning.inference.tiles import logit_map
from crack_lightning.models.backbones import BACKBONES
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.taps import TAPS, taps_of

DECISION = Decision(("sound", "cracked"), "cracked")
IN_PARTS, IN_ONE_PART = ("mobilenet_v2", "resnet18"), ("mobilenet_v3_small", "shufflenet_v2_x1_0")


@pytest.fixture(scope="module")
def network() -> CrackMap:
    return drawn_map("mobilenet_v2")


def drawn_map(backbone: str) -> CrackMap:
    """One of random weights, with a correction."""
    torch.manual_seed(0)
    weight = (0.1 * torch.randn(sum(tap.channels for tap in taps_of(backbone)))).tolist()
    made = CrackMap(backbone=backbone, decision=DECISION, state_dict=None, weight=weight, bias=0.5, corrected=True)
    torch.nn.init.normal_(made.correction.projection, std=0.1)  # type: ignore[union-attr]
    return made


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)


def test_heads_of_taps_equal_one_head_on_joined_features(network: CrackMap, images: Tensor) -> None:
    with torch.no_grad():
        rows = network.rows()
        joined = torch.einsum("nchw,kc->nkhw", network.cells(images), rows)
        assert network(images, rows).shape == (2, 17, 24, 32)
        torch.testing.assert_close(network(images, rows), joined, rtol=1e-4, atol=1e-4)


def whole_and_tiled(network: CrackMap, engine: str, *, memory_mb: float = 2) -> tuple[Tensor, Tensor]:
    """The map of a picture of noise, at once and in tiles."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 608, 3), dtype=np.uint8))
    with torch.no_grad():
        rows = network.rows()
        whole = network(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None], rows)
        mapper = crack_mapper(network, engine, rows)
        output = logit_map(mapper, picture, memory_mb=memory_mb)
    return whole, unfold_maps(output, [part.stride for part in mapper.parts], len(rows))


@pytest.mark.parametrize("engine", some(["eager", "folded", "onnxruntime"], "eager", "folded"))
def test_tiles_of_every_engine_leave_no_seams(network: CrackMap, engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    whole, tiled = whole_and_tiled(network, engine)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())


@pytest.mark.parametrize("backbone", some(sorted(PARTS), *IN_PARTS))
def test_backbones_in_parts_leave_no_seams(backbone: str) -> None:
    whole, tiled = whole_and_tiled(drawn_map(backbone), "folded")
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())


@pytest.mark.parametrize("backbone", some(sorted(TAPS.keys() - PARTS.keys()), *IN_ONE_PART))
def test_backbones_in_one_part_mark_the_same_in_one_tile(backbone: str) -> None:
    whole, tiled = whole_and_tiled(drawn_map(backbone), "folded", memory_mb=1000)
    torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-3 * whole.abs().max().item())


@pytest.mark.parametrize("backbone", some(sorted(TAPS), *IN_PARTS, *IN_ONE_PART))
def test_taps_are_where_they_are_said_to_be(backbone: str) -> None:
    network = drawn_map(backbone)
    with torch.no_grad():
        maps = network.tap_maps(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    sides = [64 // max(tap.stride, 4) for tap in network.taps]
    assert [each.shape[1:] for each in maps] == [
        (tap.channels, side, side) for tap, side in zip(network.taps, sides, strict=True)
    ]
    assert sides[0] == 16
    assert sides[-1] == 2


@pytest.mark.parametrize("backbone", sorted(BACKBONES.keys() - TAPS.keys()))
def test_a_backbone_without_taps_is_refused(backbone: str) -> None:
    with pytest.raises(ValueError, match=rf"{backbone}.* cannot carry a crack map.*mobilenet_v2"):
        CrackMap(backbone=backbone, decision=DECISION, state_dict=None)
