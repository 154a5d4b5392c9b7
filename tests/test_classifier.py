from dataclasses import replace

import pytest
import torch
from conftest import classifier
from torch import nn

from crack_lightning.models.architecture import layers
from crack_lightning.models.checkpoint import FACTS_KEY, PREFIX, checkpoint_facts, classifier_from


def test_frozen_features_stay_in_evaluation_mode_through_every_train() -> None:
    model = classifier("mobilenet_v2")
    for module in (model, nn.Sequential(model)):
        module.train()
        assert not any(m.training for m in model.features.modules())
        assert model.head.training
        assert model.dropout.training
    before = {name: tensor.clone() for name, tensor in model.features.state_dict().items()}
    model(torch.rand(4, 3, 64, 64)).sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.features.state_dict().items())
    assert all(parameter.grad is None for parameter in model.features.parameters())
    assert model.head.weight.grad is not None


def test_unfrozen_features_train() -> None:
    model = classifier("mobilenet_v2", freeze=False).train()
    assert all(m.training for m in model.features.modules())
    model(torch.rand(4, 3, 64, 64)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.features.parameters())


def test_bytes_and_floats_of_a_picture_give_the_same_logits() -> None:
    model = classifier("mobilenet_v2").eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(model(images), model(images.float() / 255))


def test_the_normalisation_is_in_the_model() -> None:
    model = classifier("mobilenet_v2")
    grey = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(model.normalise(grey), torch.zeros(1, 3, 8, 8))
    brighter = grey + torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    torch.testing.assert_close(model.normalise(brighter), torch.ones(1, 3, 8, 8))
    assert {"pixel_mean", "pixel_std"} <= model.state_dict().keys()


def test_probabilities_are_the_softmax_of_logits_and_keep_the_mode() -> None:
    model = classifier("mobilenet_v2").train()
    images = torch.rand(3, 3, 64, 64)
    probabilities = model.predict_proba(images)
    assert model.training
    assert torch.equal(probabilities, model.predict_proba(images)), "dropout was on"
    torch.testing.assert_close(probabilities, model.eval()(images).softmax(dim=1))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))


def test_the_facts_rebuild_the_classifier() -> None:
    model = classifier("resnet18", image_size=32)
    model.decision = replace(model.decision, threshold=0.3, temperature=2.0, review_band=(0.1, 0.4))
    state = {PREFIX + name: tensor for name, tensor in model.state_dict().items()}
    again = classifier_from({FACTS_KEY: checkpoint_facts(model, {}), "state_dict": state}, "best.ckpt")
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model.eval().predict_proba(images), again.predict_proba(images))
    assert again.decision == model.decision


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_dropout_out_of_range_is_refused(dropout: float) -> None:
    with pytest.raises(ValueError, match=r"model.dropout="):
        classifier("mobilenet_v2", dropout=dropout)


def test_the_layers_report_their_shapes_and_what_learns() -> None:
    found = layers(classifier("mobilenet_v2"))
    assert found[0].shape_in == (3, 64, 64)
    assert [(layer.name, layer.shape_out, layer.parameters) for layer in found[-3:]] == [
        ("pool", (1280, 1, 1), 0),
        ("dropout", (1280,), 0),
        ("head", (2,), 1280 * 2 + 2),
    ]
    assert [layer.name for layer in found if layer.trainable] == ["head"]
    assert sum(layer.parameters for layer in found) == 2_223_872 + 2562
