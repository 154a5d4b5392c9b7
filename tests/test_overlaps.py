"""Which crops of one photograph are recognised, and that others are not, on surfaces drawn for the purpose."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image
from verbs import audit

from crack_lightning.data.copies.neighbours import nearest_others
from crack_lightning.data.copies.overlaps import (
    MAX_POINTS,
    SMALL_PX,
    LocalFeatures,
    find_overlaps,
    local_features,
    mirror_descriptors,
    overlapping,
)
from crack_lightning.data.synthetic.surface_folder import render_surface

PX = 160
TURNS = [None, *Image.Transpose]


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    drawn = [render_surface(seed=11, index=k, size_px=400, positive=bool(k % 2)) for k in range(6)]
    return [Image.open(io.BytesIO(each)).convert("RGB") for each in drawn]


def crop(photograph: Image.Image, x: int, y: int) -> Image.Image:
    return photograph.crop((x, y, x + PX, y + PX))


@pytest.fixture(scope="module")
def others(photographs: list[Image.Image]) -> list[LocalFeatures]:
    """Crops of which none shares a pixel with another."""
    return [local_features(crop(each, x, y)) for each in photographs for x in (0, 170) for y in (0, 170)]


def test_crops_that_share_nothing_are_not_taken_for_overlapping(others: list[LocalFeatures]) -> None:
    assert len(overlapping(others)) == 0


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_crops_sharing_three_quarters_are_found_in_every_orientation(
    photographs: list[Image.Image], turn: Image.Transpose | None
) -> None:
    pairs = []
    for each in photographs:
        one, other = crop(each, 30, 20), crop(each, 55, 40)
        pairs += [local_features(one), local_features(other.transpose(turn) if turn is not None else other)]
    found = {tuple(pair) for pair in overlapping(pairs).tolist()}
    assert found == {(k, k + 1) for k in range(0, len(pairs), 2)}


def test_a_part_turned_by_twenty_degrees_is_found(photographs: list[Image.Image]) -> None:
    turned = [each.rotate(20, Image.Resampling.BICUBIC) for each in photographs]
    pairs = [local_features(crop(each, 120, 120)) for both in zip(photographs, turned, strict=True) for each in both]
    assert overlapping(pairs).tolist() == [[k, k + 1] for k in range(0, len(pairs), 2)]


def test_a_picture_of_one_colour_overlaps_nothing() -> None:
    plain = local_features(Image.new("L", (PX, PX), 120))
    assert len(plain.points) == 0
    assert len(overlapping([plain, plain])) == 0


def test_local_features_lie_within_the_picture(others: list[LocalFeatures]) -> None:
    for each in others:
        assert 0 < len(each.points) == len(each.descriptors) <= MAX_POINTS
        assert each.points.min() >= 0
        assert each.points.max() < SMALL_PX


def test_mirrored_descriptors_are_those_of_the_mirrored_picture(photographs: list[Image.Image]) -> None:
    whole = photographs[1].resize((SMALL_PX, SMALL_PX))
    one, other = local_features(whole), local_features(whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    distance = np.linalg.norm(
        mirror_descriptors(one.descriptors)[:, None] - other.descriptors[None].astype(float), axis=2
    )
    assert np.median(distance.min(axis=1)) < 30  # of lengths of 512; that of other points is about 300


def test_a_file_that_cannot_be_read_overlaps_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert len(find_overlaps([tmp_path / "broken.jpg"] * 2, workers=0)) == 0


def test_the_nearest_point_of_another_owner_is_found() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 5)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    owners = np.arange(300) // 3
    place, near = nearest_others(points, owners, points, probes=2)
    alike = points @ points.T
    alike[owners[:, None] == owners] = -1
    exact = alike.argmax(axis=1)
    assert (place == exact).mean() > 0.95  # the cells of a few points are coarse
    assert near == pytest.approx(alike[np.arange(300), place])


def test_audit_reports_overlaps_and_groups_keep_them_together(
    photographs: list[Image.Image],
    composed: Callable[..., DictConfig],
    trained: Callable[..., Path],
    surfaces: Path,
    tmp_path: Path,
) -> None:
    root = tmp_path / "photos"
    for name in ("Negative", "Positive"):
        (root / name).mkdir(parents=True)
        for path in sorted((surfaces / name).iterdir())[:8]:
            Image.open(path).resize((PX, PX)).save(root / name / path.name)
    one, other = root / "Negative/one.jpg", root / "Positive/other.jpg"
    crop(photographs[1], 30, 20).save(one, quality=95)
    crop(photographs[1], 80, 65).save(other, quality=95)
    options = ["data.fractions=[0.4,0.3,0.3]", "trainer.max_epochs=1", f"data.root={root}"]
    run = trained(*options, "data.group_by=overlap", "leakage=overlap")
    with (run / "split.csv").open() as file:
        split = {row["path"]: row["split"] for row in csv.DictReader(file)}
    assert split[str(one)] == split[str(other)]
    assert json.loads((run / "metrics.json").read_text())["split/test_images_with_a_shared_part_in_training"] == 0
    lines = [f"{path},x,{path},{'test' if path == other else 'train'}" for path in sorted(root.rglob("*.jpg"))]
    (tmp_path / "split.csv").write_text("\n".join(["path,label,group,split", *lines]))
    table = f"split_csv={tmp_path / 'split.csv'}"
    with pytest.raises(SystemExit):
        audit(*composed("audit", [f"data.root={root}", "overlaps=true", table], run="audit"))
    with (tmp_path / "audit/audit.csv").open() as file:
        kinds = {(row["kind"], Path(row["path"]).name) for row in csv.DictReader(file)}
    assert {("overlap", "one.jpg"), ("overlap", "other.jpg"), ("leak", "other.jpg")} <= kinds
    assert "label_conflict" not in {kind for kind, _ in kinds}
