import random
from collections import Counter
from pathlib import Path

import pytest

from crack_lightning.data.options import _check_folds, _check_fractions
from crack_lightning.data.samples.listing import Sample
from crack_lightning.data.samples.splits import (
    Splits,
    class_weights,
    fold_samples,
    read_split,
    split_samples,
    write_split,
)

NAMES = ["Negative", "Positive"]


def samples(negative: int, positive: int, *, per_group: int = 1) -> list[Sample]:
    counts = (negative, positive)
    return [
        Sample(Path(f"{NAMES[label]}/{k}.jpg"), label, f"{NAMES[label]}/{k}.jpg", f"{NAMES[label]}/{k // per_group}")
        for label in (0, 1)
        for k in range(counts[label])
    ]


def split(given: list[Sample], fractions: tuple[float, float, float] = (0.7, 0.15, 0.15), seed: int = 0) -> Splits:
    return split_samples(given, fractions, seed=seed, class_names=NAMES)


@pytest.mark.parametrize("per_group", [1, 4])
def test_a_split_is_disjoint_complete_and_keeps_groups_whole(per_group: int) -> None:
    given = samples(100, 60, per_group=per_group)
    found = split(given)
    together = [sample for members in found.values() for sample in members]
    assert Counter(together) == Counter(given)
    groups = [{sample.group for sample in members} for members in found.values()]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]


@pytest.mark.parametrize(
    ("fractions", "negative", "positive"),
    [((0.7, 0.15, 0.15), (70, 15, 15), (28, 6, 6)), ((0.8, 0.16, 0.04), (80, 16, 4), (32, 6, 2))],
)
def test_every_class_is_split_alike(
    fractions: tuple[float, float, float], negative: tuple[int, ...], positive: tuple[int, ...]
) -> None:
    found = split(samples(100, 40), fractions)
    for label, wanted in ((0, negative), (1, positive)):
        assert tuple(sum(s.label == label for s in members) for members in found.values()) == wanted


def test_the_listing_order_does_not_matter_and_the_seed_does() -> None:
    given = samples(50, 50)
    shuffled = random.Random(3).sample(given, len(given))
    assert split(given) == split(shuffled)
    assert split(given, seed=1) != split(given)


def test_one_file_more_moves_few_others() -> None:
    before = split(samples(200, 200))
    after = split([*samples(200, 200), Sample(Path("Negative/new.jpg"), 0, "Negative/new.jpg", "Negative/new")])
    moved = sum(len(set(before[name]) - set(after[name])) for name in before)
    assert moved <= 3


def test_the_smallest_data_set_has_every_class_in_every_split() -> None:
    for members in split(samples(3, 3)).values():
        assert {sample.label for sample in members} == {0, 1}


def test_too_few_images_of_a_class_are_named() -> None:
    with pytest.raises(ValueError, match=r"class Positive has 2 images, too few to split: at least 3"):
        split(samples(10, 2))


def test_too_few_groups_of_a_class_are_named() -> None:
    with pytest.raises(ValueError, match=r"class Negative has 2 groups \(8 images\)"):
        split(samples(8, 40, per_group=4))


@pytest.mark.parametrize("fractions", [(0.7, 0.3), (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1), ()])
def test_fractions_out_of_range_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"data.fractions="):
        _check_fractions(fractions)


def test_a_written_split_is_read_again(tmp_path: Path) -> None:
    found = split(samples(10, 10))
    write_split(tmp_path / "split.csv", found, NAMES)
    assert read_split(tmp_path / "split.csv", "val") == {str(s.path): s.group for s in found["val"]}
    with pytest.raises(ValueError, match=r"has no split 'dev': it has test, train, val"):
        read_split(tmp_path / "split.csv", "dev")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"needs columns path, group and split"):
        read_split(tmp_path / "other.csv", "val")


def uneven(sizes: list[tuple[int, int]]) -> list[Sample]:
    """Groups with the given numbers of negative and positive images."""
    return [
        Sample(Path(f"{NAMES[label]}/{group}-{k}.jpg"), label, f"{NAMES[label]}/{group}-{k}.jpg", str(group))
        for group, counts in enumerate(sizes)
        for label in (0, 1)
        for k in range(counts[label])
    ]


def shares(found: Splits) -> list[float]:
    return [sum(sample.label for sample in members) / len(members) for members in found.values()]


def test_large_groups_come_close_to_fractions_and_class_shares() -> None:
    found = split(uneven([(40, 10), (80, 20), (30, 8), (90, 20), (35, 9), (120, 31), (44, 10), (20, 5)]))
    total = sum(map(len, found.values()))
    for members, fraction in zip(found.values(), (0.7, 0.15, 0.15), strict=True):
        assert len(members) / total == pytest.approx(fraction, abs=0.05)
    assert shares(found) == pytest.approx([0.2] * 3, abs=0.03)


def test_uneven_shares_of_whole_groups_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    split(uneven([(10, 90), (90, 10), (50, 50)]))
    assert "whole groups do not share out Negative evenly: 50% of all" in caplog.text


def test_a_class_that_lives_in_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"class Positive has 1 groups \(12 images\), too few to split"):
        split(uneven([(10, 12), (20, 0), (30, 0), (40, 0)]))


@pytest.mark.parametrize("per_group", [1, 3])
def test_every_image_is_tested_in_exactly_one_fold(per_group: int) -> None:
    given = samples(60, 30, per_group=per_group)
    folds = [fold_samples(given, folds=5, fold=fold, seed=0, class_names=NAMES) for fold in range(5)]
    assert Counter(sample for found in folds for sample in found["test"]) == Counter(given)
    for number, found in enumerate(folds):
        assert Counter(sample for members in found.values() for sample in members) == Counter(given)
        assert found["val"] == folds[(number + 1) % 5]["test"]
        assert len(found["test"]) == pytest.approx(18, abs=3)
        assert not {s.group for s in found["train"]} & {s.group for s in [*found["val"], *found["test"]]}


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class Positive has 3 groups .* at least 5 are needed"):
        fold_samples(samples(30, 9, per_group=3), folds=5, fold=0, seed=0, class_names=NAMES)


@pytest.mark.parametrize(("folds", "fold"), [(2, 0), (0, 0), (5, 5), (5, -1), (None, 1)])
def test_folds_that_cannot_be_are_refused(folds: int | None, fold: int) -> None:
    with pytest.raises(ValueError, match=r"data\.fold"):
        _check_folds(folds, fold)


def test_balanced_weights_make_all_classes_weigh_alike() -> None:
    given = samples(30, 10)
    assert class_weights(given, 2, None) is None
    assert class_weights(given, 2, "balanced") == pytest.approx([40 / 60, 40 / 20])
