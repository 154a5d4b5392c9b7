import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import rows, some
from omegaconf import DictConfig
from PIL import Image
from verbs import explain, predict

from crack_lightning.data.batches.transforms import plain_transform
from crack_lightning.errors import UserError
from crack_lightning.inference.patches import file_by_file, in_threads
from crack_lightning.models.map_checkpoint import load_network

Compose = Callable[..., DictConfig]


def predicted(composed: Compose, checkpoint: Path, source: Path, *overrides: str) -> None:
    options = [f"ckpt_path={checkpoint}", f"source={source}", "num_workers=2", "engine=eager", *overrides]
    predict(*composed("predict", options, run="predicted"))


def test_every_file_has_a_row_with_what_the_checkpoint_says(
    composed: Compose, checkpoint: Path, surfaces: Path, tmp_path: Path
) -> None:
    predicted(composed, checkpoint, surfaces, "jsonl=true", "batch_size=7")
    table = rows(tmp_path / "predicted/predictions.csv")
    assert [row["path"] for row in table] == [str(path) for path in sorted(surfaces.rglob("*.jpg"))]
    classifier = load_network(checkpoint)
    for row in table[::9]:
        picture = plain_transform(classifier.image_size)(Image.open(row["path"]).convert("RGB"))
        probability = classifier.predict_proba(picture[None])[0, classifier.decision.positive_index].item()
        assert float(row["probability"]) == pytest.approx(probability, abs=1e-5)
        low, high = classifier.decision.review_band or (1.0, 0.0)
        assert row["review"] == str(int(low <= probability <= high))
        assert row["predicted"] == ("Positive" if probability >= classifier.decision.threshold else "Negative")
    lines = [json.loads(line) for line in (tmp_path / "predicted/predictions.jsonl").read_text().splitlines()]
    assert [(each["path"], f"{each['probability']:.6f}") for each in lines] == [
        (row["path"], row["probability"]) for row in table
    ]


def test_threads_keep_the_order_and_begin_few_items_ahead() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.01 * (number % 3))
        return number

    found = in_threads(work, range(100), 3)
    assert [next(found), next(found)] == [0, 1]
    assert len(begun) <= 9
    found.close()  # as Ctrl-C does
    assert len(begun) <= 9
    assert list(in_threads(work, range(20), 4)) == list(range(20))
    assert list(in_threads(work, [], 4)) == []


def test_an_error_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 / number, [2, 1, 0, 3], 2))


def test_torch_has_its_cores_again_after_predicting(composed: Compose, checkpoint: Path, surfaces: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    predicted(composed, checkpoint, surfaces / "Negative")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_a_bad_file_is_a_row_with_its_error(
    composed: Compose, checkpoint: Path, surfaces: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(surfaces / "Negative", tmp_path / "patches"))
    (folder / "a, b.jpg").write_text("no image")
    with pytest.raises(SystemExit) as end:
        predicted(composed, checkpoint, folder, "jsonl=true")
    assert end.value.code == 1
    table = {Path(row["path"]).name: row for row in rows(tmp_path / "predicted/predictions.csv")}
    assert len(table) == 21
    assert "not an image" in table["a, b.jpg"]["error"]
    assert table["a, b.jpg"]["probability"] == ""
    assert all(row["probability"] for name, row in table.items() if name != "a, b.jpg")


def test_what_is_no_patch_by_its_size_is_for_review(
    composed: Compose, one_epoch: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Of patches of 64 pixels, without a band of doubt.
    checkpoint = one_epoch / "checkpoints/best.ckpt"
    for side in (31, 32, 128, 129):
        Image.new("RGB", (side, 20), "grey").save(tmp_path / f"{side}.png")
    predicted(composed, checkpoint, tmp_path / "*.png")
    table = rows(tmp_path / "predicted/predictions.csv")
    assert {Path(row["path"]).stem for row in table if row["review"] == "1"} == {"31", "129"}
    assert (
        "2 images need review: they are not half to twice as large as the training patches of 64 pixels" in caplog.text
    )


def test_a_file_and_a_pattern_are_sources_too(
    composed: Compose, checkpoint: Path, surfaces: Path, tmp_path: Path
) -> None:
    predicted(composed, checkpoint, surfaces / "Negative/000000.jpg")
    assert len(rows(tmp_path / "predicted/predictions.csv")) == 1
    predicted(composed, checkpoint, surfaces / "*/00000*.jpg")
    assert len(rows(tmp_path / "predicted/predictions.csv")) == 10


def test_another_kind_of_checkpoint_is_refused(composed: Compose, surfaces: Path, tmp_path: Path) -> None:
    (tmp_path / "other.ckpt").write_text("weights of another program")
    with pytest.raises(ValueError, match=r"is not a checkpoint of crack_lightning|is damaged or no checkpoint"):
        predicted(composed, tmp_path / "other.ckpt", surfaces)


@pytest.mark.parametrize("backbone", some(["mobilenet_v2", "swin_t"], "mobilenet_v2"))
def test_an_explanation_says_what_the_checkpoint_says(
    composed: Compose, trained: Callable[..., Path], surfaces: Path, tmp_path: Path, backbone: str
) -> None:
    run = trained(f"model={backbone}", "model.weights=null", "trainer.max_epochs=1", run="trained")
    folder = Path(shutil.copytree(surfaces / "Negative", tmp_path / "patches"))
    (folder / "bad.png").write_bytes(b"")
    options = [f"ckpt_path={run}/checkpoints/best.ckpt", f"source='{folder}/[0b]*'", "side_px=64"]
    with pytest.raises(SystemExit) as end:
        explain(*composed("explain", options, run="explained"))
    assert end.value.code == 1
    table = {Path(row["path"]).name: row for row in rows(tmp_path / "explained/explanations.csv")}
    assert table["bad.png"]["error"]
    classifier = load_network(run / "checkpoints/best.ckpt")
    picture = plain_transform(classifier.image_size)(Image.open(folder / "000000.jpg").convert("RGB"))
    expected = classifier.predict_proba(picture[None])[0, classifier.decision.positive_index].item()
    assert float(table["000000.jpg"]["probability"]) == pytest.approx(expected, abs=1e-4)
    with Image.open(tmp_path / "explained" / table["000000.jpg"]["explanation"]) as shown:
        assert shown.size == (136, 84)


def test_a_name_too_long_with_an_ending_is_explained(
    composed: Compose, checkpoint: Path, surfaces: Path, tmp_path: Path
) -> None:
    (tmp_path / "long").mkdir()
    for name in ("a", "b" * 250, "c"):
        shutil.copy(surfaces / "Negative/000000.jpg", tmp_path / f"long/{name}.jpg")
    explain(*composed("explain", [f"ckpt_path={checkpoint}", f"source={tmp_path}/long", "side_px=64"], run="explained"))
    table = rows(tmp_path / "explained/explanations.csv")
    assert len(table) == 3
    assert all((tmp_path / "explained" / row["explanation"]).is_file() for row in table)


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_too_many_pixels_are_an_error_of_the_file(
    composed: Compose, checkpoint: Path, surfaces: Path, tmp_path: Path, verb: str
) -> None:
    options = [f"ckpt_path={checkpoint}", f"source={surfaces}/Negative/000000.jpg", "max_megapixels=0.004"]
    with pytest.raises(SystemExit) as end:
        {"predict": predict, "explain": explain}[verb](*composed(verb, options, run="large"))
    assert end.value.code == 1
    (row,) = rows(next((tmp_path / "large").glob("*.csv")))
    assert "4096 pixels are more than max_megapixels=0.004 allows" in row["error"]


def test_levels_in_doubt_are_for_review(
    composed: Compose, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "dim.png")
    predicted(composed, checkpoint, tmp_path / "dim.png")
    (row,) = rows(tmp_path / "predicted/predictions.csv")
    assert row["review"] == "1"
    assert "dim.png: 16 bits of which nothing is above a sixteenth" in caplog.text


def test_a_network_that_fails_is_no_picture_that_cannot_be_read(surfaces: Path) -> None:
    def failing(image: Image.Image) -> torch.Tensor:
        raise RuntimeError("the GPU is out of memory")

    path = next(surfaces.rglob("*.jpg"))
    with pytest.raises(UserError, match=r"the network cannot compute .*\.jpg \(RuntimeError: the GPU is out of memory"):
        file_by_file(failing, [path], num_workers=1, megapixels=1)
    broken = path.parent / "gone.jpg"
    assert "gone.jpg" in file_by_file(failing, [broken], num_workers=1, megapixels=1).errors[0]
