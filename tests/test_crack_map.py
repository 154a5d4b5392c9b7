import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from crack_lightning.engines.crack_maps import crack_mapper, unfolded
from crack_lightning.inference.tiles import logit_map
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision

DECISION = Decision(("sound", "cracked"), "cracked")


@pytest.fixture(scope="module")
def network() -> CrackMap:
    torch.manual_seed(0)
    weight = (0.1 * torch.randn(552)).tolist()
    return CrackMap(backbone="mobilenet_v2", decision=DECISION, state_dict=None, weight=weight, bias=0.5)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)


def test_heads_of_taps_equal_one_head_on_joined_features(network: CrackMap, images: Tensor) -> None:
    with torch.no_grad():
        joined = torch.einsum("nchw,c->nhw", network.cells(images), network.weight) + network.bias
        assert network(images).shape == (2, 24, 32)
        torch.testing.assert_close(network(images), joined, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("engine", ["eager", "folded", "onnxruntime"])
def test_tiles_of_every_engine_leave_no_seams(network: CrackMap, engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 608, 3), dtype=np.uint8))
    with torch.no_grad():
        whole = network(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None])[0]
        mapper = crack_mapper(network, engine)
        tiled = unfolded(logit_map(mapper, picture, memory_mb=2), [part.stride for part in mapper.parts])
    torch.testing.assert_close(tiled + network.bias, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())


def test_a_backbone_without_taps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"resnet18.* no taps .*mobilenet_v2"):
        CrackMap(backbone="resnet18", decision=DECISION, state_dict=None)
