from pathlib import Path

import torch
from torch.utils.data import DataLoader, default_collate

from crack_lightning.data.batches.datamodule import collate_views
from crack_lightning.data.batches.dataset import AugmentedDataset, PlainDataset, ViewSampler
from crack_lightning.data.batches.transforms import augment, plain_transform
from crack_lightning.data.samples.listing import find_samples


def dataset(root: Path) -> AugmentedDataset:
    plain = PlainDataset(find_samples(root, ["Negative", "Positive"])[:8], plain_transform(32))
    return AugmentedDataset(plain, {"flip_probability": 0.5, "rotation_degrees": 72}, seed=0)


def sampler(data: AugmentedDataset, *, epoch: int, rank: int = 0, ranks: int = 1) -> ViewSampler:
    found = ViewSampler(data, num_replicas=ranks, rank=rank, seed=0)
    found.set_epoch(epoch)
    return found


def test_epochs_have_every_sample_once_in_own_order_and_view(surfaces: Path) -> None:
    data = dataset(surfaces)
    first, again, second = (list(sampler(data, epoch=epoch)) for epoch in (0, 0, 1))
    assert sorted(index for index, _ in first) == list(range(8))
    assert {view for _, view in first} == {0}
    assert {view for _, view in second} == {1}
    assert first == again
    assert [index for index, _ in first] != [index for index, _ in second]


def test_two_processes_share_an_epoch(surfaces: Path) -> None:
    data = dataset(surfaces)
    halves = [{index for index, _ in sampler(data, epoch=0, rank=rank, ranks=2)} for rank in (0, 1)]
    assert halves[0] | halves[1] == set(range(8))
    assert not halves[0] & halves[1]


def test_loading_processes_do_not_change_what_is_loaded(surfaces: Path) -> None:
    data = dataset(surfaces)
    batches = [
        list(DataLoader(data, batch_size=4, sampler=sampler(data, epoch=3), num_workers=workers)) for workers in (0, 2)
    ]
    for batch, same in zip(*batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(batch, same, strict=True))


def test_pictures_turned_by_loading_processes_are_those_that_a_gpu_turns(surfaces: Path) -> None:
    data = dataset(surfaces)
    items = [data[index, 3] for index in range(6)]
    images, labels = collate_views(items)
    plain, views, same_labels = default_collate(items)
    assert views.any()
    assert images.equal(augment(plain, views))
    assert labels.equal(same_labels)
    pairs = [(plain[0], 1), (plain[1], 0)]
    assert collate_views(pairs)[0].equal(plain[:2])
