import pytest
import torch
from conftest import classifier, some

from crack_lightning.models.backbones import BACKBONES, build_features, check_backbone
from crack_lightning.system.option_groups import CONF

FAMILIES = (
    "mobilenet_v2",
    "mobilenet_v3",
    "resnet",
    "efficientnet",
    "convnext",
    "densenet",
    "regnet",
    "shufflenet",
    "vgg",
    "swin",
)


def test_every_promised_family_is_there() -> None:
    for family in FAMILIES:
        assert any(name.startswith(family) for name in BACKBONES), family


def test_every_backbone_has_its_yaml() -> None:
    assert {path.stem for path in (CONF / "model").glob("*.yaml")} == {*BACKBONES, "crack_map"}


@pytest.mark.parametrize(
    "name", some(BACKBONES, "mobilenet_v2", "resnet18", "mobilenet_v3_small", "shufflenet_v2_x1_0")
)
def test_the_class_activation_map_is_exact_for_every_backbone(name: str) -> None:
    """Zhou et al. 2016: the head applied at every place, averaged, is the logits."""
    torch.manual_seed(0)
    model = classifier(name).eval()
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        features = model.feature_map(images)  # (N, C, h, w)
        at_every_place = model.head(features.permute(0, 2, 3, 1))  # (N, h, w, 2)
        assert features.shape[2:] == (3, 2)
        torch.testing.assert_close(at_every_place.mean(dim=(1, 2)), model(images), rtol=1e-4, atol=1e-4)


def test_an_unknown_name_suggests_the_near_one() -> None:
    with pytest.raises(ValueError, match=r"unknown backbone 'mobilnet_v2': did you mean mobilenet_v2\?"):
        check_backbone("mobilnet_v2")


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the weights do not fit resnet18: \d+ tensors are missing, such as conv1"):
        build_features("resnet18", {"a": torch.zeros(1)})
    wrong = {"conv1.weight": torch.zeros(2, 2)}
    with pytest.raises(ValueError, match=r"the weights do not fit resnet18: size mismatch for conv1.weight"):
        build_features("resnet18", wrong)
