import random
from collections import Counter
from pathlib import Path

import pytest

from crack_lightning.data.samples import Sample
from crack_lightning.data.splits import Splits, check_fractions, read_split, split_samples, write_split

NAMES = ["Negative", "Positive"]


def samples(negative: int, positive: int, *, per_group: int = 1) -> list[Sample]:
    counts = (negative, positive)
    return [
        Sample(Path(f"{NAMES[label]}/{k}.jpg"), label, f"{NAMES[label]}/{k // per_group}")
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


def test_the_order_of_the_listing_does_not_matter_and_the_seed_does() -> None:
    given = samples(50, 50)
    shuffled = random.Random(3).sample(given, len(given))
    assert split(given) == split(shuffled)
    assert split(given, seed=1) != split(given)


def test_one_file_more_moves_few_others() -> None:
    before = split(samples(200, 200))
    after = split([*samples(200, 200), Sample(Path("Negative/new.jpg"), 0, "Negative/new")])
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
        check_fractions(fractions)


def test_a_written_split_is_read_again(tmp_path: Path) -> None:
    found = split(samples(10, 10))
    write_split(tmp_path / "split.csv", found, NAMES)
    assert read_split(tmp_path / "split.csv", "val") == {sample.group for sample in found["val"]}
    with pytest.raises(ValueError, match=r"has no split 'dev': it has test, train, val"):
        read_split(tmp_path / "split.csv", "dev")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"is no split.csv"):
        read_split(tmp_path / "other.csv", "val")
