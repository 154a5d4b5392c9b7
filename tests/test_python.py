"""`import crack_lightning`: three lines to a result, the same options and files as on the command line."""

import csv
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import rows
from omegaconf import DictConfig
from PIL import Image
from walls import wall

import crack_lightning as cl
from crack_lightning.api.network_training import GROUPS, _composed, _resolve
from crack_lightning.cli.options import options_of
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.system.option_groups import choices_of
from crack_lightning.system.option_keys import options_from

FAST = {"engine": "eager"}  # no network is exported for a picture


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs") / "wall & 1.png"
    wall().save(path)
    return path


@pytest.fixture(scope="module")
def marked(photograph: Path) -> cl.Marked:
    return cl.mark(photograph, mm_per_px=0.5, **FAST)


def test_a_path_a_picture_and_an_array_give_the_same_cracks(photograph: Path, marked: cl.Marked) -> None:
    with Image.open(photograph, formats=["PNG"]) as picture:
        others = [cl.mark(picture, mm_per_px=0.5, **FAST), cl.mark(np.asarray(picture), mm_per_px=0.5, **FAST)]
    for other in others:
        assert other.table() == marked.table()
        assert np.array_equal(other.probability, marked.probability)
    assert marked.probability.shape == (76, 113)
    assert marked.probability.dtype == np.float32


def test_a_crack_has_its_line_and_millimetres(marked: cl.Marked) -> None:
    crack = marked.cracks[0]
    left, top, right, bottom = crack.box_xyxy
    assert 0 <= left < 20 < 430 < right <= 450
    assert 100 < top < bottom < 220
    assert crack.length_mm == pytest.approx(crack.length_px / 2, abs=0.1)
    assert crack.width_mm is not None
    assert crack.width_mm == pytest.approx(crack.width_px / 2, abs=0.01)
    assert crack.polyline_xy.shape[1] == 2
    assert len(crack.widths_px) == sum(map(len, crack.lines_xy))
    assert crack.lines_mm[0] == pytest.approx(crack.lines_xy[0] / 2)


def test_what_is_saved_is_what_the_command_writes(photograph: Path, marked: cl.Marked, tmp_path: Path) -> None:
    saved, run = marked.save(tmp_path / "saved", formats="coco"), tmp_path / "run"
    assert saved.cracks()[0]["length_mm"] == marked.cracks[0].length_mm
    inspected = cl.inspect(photograph, out=run, mm_per_px=0.5, **FAST)
    below = f"photographs/{photograph.name}"
    for name in ("cracks.csv", f"{below}/cracks.geojson", f"{below}/overlay.png", f"{below}/crack_map.npy"):
        assert (saved.folder / name).read_bytes() == (run / name).read_bytes(), name
    assert inspected.photographs[0].cracks == saved.photographs[0].cracks
    assert len(json.loads((saved.folder / "cracks_coco.json").read_text())["images"]) == 1
    assert list(saved.table()[0]) == list(rows(run / "inspection.csv")[0])
    again = cl.inspect(photograph, out=saved.folder, mm_per_px=0.5, **FAST)
    assert again.photographs[0].seconds == 0, "it was computed again"


def test_a_table_of_cracks_is_that_of_the_file(marked: cl.Marked, tmp_path: Path) -> None:
    folder = marked.save(tmp_path).folder
    with (folder / "cracks.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert list(marked.table()[0]) == header[1:]
    assert marked.table()[0]["length_px"] == pytest.approx(float(rows(folder / "cracks.csv")[0]["length_px"]))


def test_a_picture_from_memory_is_kept_beside_its_results(tmp_path: Path) -> None:
    marked = cl.mark(np.asarray(wall()), **FAST)
    run = marked.save(tmp_path / "run")
    assert (run.folder / "photographs/image.png/original.png").is_file()
    changes = cl.compare(run, run.folder, out=tmp_path / "compared")
    assert {row["change"] for row in changes.table()} == {"unchanged"}
    assert (changes.unmatched, str(changes).partition(" ")[0]) == (0, str(len(marked.cracks)))


def test_results_of_other_photographs_are_not_overwritten(marked: cl.Marked, tmp_path: Path) -> None:
    marked.save(tmp_path)
    with pytest.raises(cl.UserError, match="holds the results of other photographs: give another out"):
        cl.mark(wall(), **FAST).save(tmp_path)
    marked.save(tmp_path)


def test_results_of_another_command_are_not_overwritten(marked: cl.Marked, tmp_path: Path) -> None:
    marked.save(tmp_path)
    for call in (lambda: cl.audit(tmp_path, out=tmp_path), lambda: cl.train(tmp_path, out=tmp_path)):
        with pytest.raises(cl.UserError, match="holds the results of `inspect`: give another folder"):
            call()


def test_one_name_of_two_pictures_is_noticed(tmp_path: Path) -> None:
    cl.mark(np.asarray(wall()), **FAST).save(tmp_path)
    with pytest.raises(cl.UserError, match=r"results of another picture called image.png"):
        cl.mark(np.asarray(wall(crack=False)), **FAST).save(tmp_path)


def test_results_are_not_written_among_photographs(photograph: Path, marked: cl.Marked) -> None:
    with pytest.raises(cl.UserError, match="holds photographs"):
        marked.save(photograph.parent)


def test_results_of_python_are_not_taken_for_photographs(photograph: Path, marked: cl.Marked, tmp_path: Path) -> None:
    wall().save(tmp_path / "a.png")
    marked.save(tmp_path / "results")
    assert len(cl.inspect(tmp_path, out=tmp_path / "all", **FAST).photographs) == 1


def test_a_network_is_built_once_and_an_array_touches_no_disk() -> None:
    pixels, opened = np.asarray(wall()), list[str]()
    cl.mark(pixels, **FAST)

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and watching:
            opened.append(str(arguments[0]))

    sys.addaudithook(note)
    watching = True
    cl.mark(pixels, **FAST)
    watching = False
    assert opened == []
    assert cl.load() is cl.load()


def test_a_threshold_and_a_length_apply_to_one_call(photograph: Path, marked: cl.Marked) -> None:
    strict = cl.mark(photograph, threshold=0.99, **FAST)
    assert (strict.threshold, cl.load().mark(photograph, **FAST).threshold) == (0.99, marked.threshold)
    assert cl.mark(photograph, min_length_px=10_000, **FAST).cracks == ()


def test_results_print_as_one_line_and_show_themselves(marked: cl.Marked, tmp_path: Path) -> None:
    assert str(marked).startswith("wall & 1.png: cracked, 1 crack of ")
    assert "mm long" in str(marked.cracks[0])
    assert "\n" not in repr(marked.cracks[0]) + str(marked)
    page = marked._repr_html_()
    assert page.count("<img") == 1
    assert "<th>width_mm</th>" in page
    assert "wall &amp; 1.png" in page
    shown = marked.save(tmp_path)._repr_html_()
    assert "<th>crack_length_mm</th>" in shown
    assert marked.overlay().size == (450, 301)


def test_a_function_shows_the_options_with_their_defaults() -> None:
    shown = inspect.signature(cl.mark).parameters
    assert (shown["width_classes"].default, shown["max_megapixels"].default) == ("ec2", 200.0)
    assert {"source", "shard", "formats"}.isdisjoint(shown)
    assert shown["scales"].default == [1.0]
    for name in cl.__all__:
        assert inspect.getdoc(getattr(cl, name)), name
        if callable(getattr(cl, name)) and name.islower():
            parameters = inspect.signature(getattr(cl, name)).parameters.values()
            assert not [each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD], name


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda path: cl.mark(path, mm_pr_px=1), r"no key mm_pr_px\. Did you mean mm_per_px\?"),
        (lambda path: cl.mark(path, mm_per_px="wide"), "mm_per_px='wide': a number is needed"),
        (lambda path: cl.mark(path, mm_per_px=-1), "mm_per_px=-1.0: must be a number above 0"),
        (lambda path: cl.mark(path, formats=["dxf"]), r"formats is not an option of mark: save\(formats=\.\.\.\)"),
        (lambda path: cl.mark(path.parent), "is a folder: mark takes one photograph"),
        (lambda path: cl.mark(path.with_name("no.jpg")), "no.jpg does not exist"),
        (lambda path: cl.mark(__file__), "cannot be decoded: not an image"),
        (lambda path: cl.mark(1.5), "a float: must be a path, a PIL image or an array"),
        (lambda path: cl.mark(np.zeros((4, 4, 3))), r"an array float64 \(4, 4, 3\): must be uint8"),
        (lambda path: cl.mark(np.zeros((3, 40, 50), np.uint8)), r"uint8 \(h, w, 3\), RGB"),
        (lambda path: cl.mark(np.zeros((90, 90), np.uint8), max_megapixels=0.001), "8100 pixels are more than"),
        (lambda path: cl.mark(path, ckpt_path=path.parent), "has no checkpoints/best.ckpt"),
        (lambda path: cl.mark(""), "path of the photograph is empty"),
        (
            lambda path: cl.mark(Image.fromarray(np.full((50, 50), 90.0, np.float32))),
            "its mode is F with values up to 90",
        ),
        (lambda path: cl.mark(path, device="gpu"), "device=gpu is not available: must be auto, cpu, cuda"),
        (lambda path: cl.train(callbacks=[1]), "callbacks: 1 is not a callback"),
        (lambda path: cl.train(epoch=1), r"no key epoch\. Did you mean epochs\?"),
        (lambda path: cl.inspect(path.parent, out=""), "out is empty: give a folder"),
        (lambda path: cl.load("nowhere.ckpt"), "ckpt_path=nowhere.ckpt does not exist"),
        (lambda path: cl.train("nowhere", out=path.parent / "run"), "nowhere does not exist"),
        (lambda path: cl.train(lr=1), r"no key lr\. Did you mean optimizer.lr\?"),
        (lambda path: cl.train(model="resnet81"), r"model=resnet81: no such option. did you mean model=resnet18\?"),
        (lambda path: cl.train(epochs="many"), "trainer.max_epochs='many': a whole number is needed"),
        (lambda path: cl.train(model="crack_map", epochs=3), "trainer.max_epochs: not used with model=crack_map"),
        (lambda path: cl.train(ckpt_path="last.ckpt"), "continued by the command line"),
        (lambda path: cl.train("x", data={"layout": "x"}, **{"data.layout": "y"}), "data.layout=y: must be one of"),
        (lambda path: cl.inspect("nowhere", out=path.parent / "run"), "source=nowhere does not exist"),
        (lambda path: cl.inspect(path.parent, out=path / "run"), "cannot be made: .* is a file"),
        (lambda path: cl.inspect(path.parent, out=path.parent), "holds photographs to read"),
        (lambda path: cl.evaluate(None, path.parent, data="mask", out=path.parent / "run"), "did you mean masks"),
        (lambda path: cl.export(None, "onxx", out=path.parent / "run"), "did you mean onnx"),
        (lambda path: cl.audit(path.parent / "no", out=path.parent / "run"), "is not a folder"),
        (lambda path: cl.compare(path.parent, path.parent, out=path.parent / "run"), "no photographs whose cracks"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(photograph: Path, call: Callable[[Path], object], text: str) -> None:
    with pytest.raises((cl.UserError, OSError), match=text):
        call(photograph)


def test_a_run_gives_its_model_metrics_and_predictions(surfaces: Path, tmp_path: Path) -> None:
    tiny = {"image_size": 32, "num_workers": 0}
    keys = {"model.weights": None, "features.engine": "eager", "figures": False, "cache_dir": str(tmp_path / "cache")}
    run = cl.train(surfaces, epochs=1, out=tmp_path / "run", data=tiny, logger=None, trainer="cpu", **keys)
    assert run.metrics["test/accuracy"] == pytest.approx(
        json.loads((run.folder / "metrics.json").read_text())["test/accuracy"]
    )
    assert str(run).startswith(f"test accuracy {run.metrics['test/accuracy']:.4f}")
    assert [row["path"] for row in run.predictions] == [row["path"] for row in rows(run.folder / "predictions.csv")]
    assert run.model is cl.load(run.folder)
    assert (run.model.is_map, run.model.class_names) == (False, ("Negative", "Positive"))
    first = run.predictions[0]
    answers = run.model.predict([first["path"], Image.open(first["path"], formats=["JPEG"]), __file__], engine="eager")
    assert answers[0].probability == pytest.approx(first["probability"], abs=1e-5)
    assert answers[1].probability == answers[0].probability
    assert "cannot be decoded" in answers[2].error
    judged = cl.evaluate(
        run.model, surfaces, out=tmp_path / "judged", data={"split": "test", "split_csv": run.folder / "split.csv"}
    )
    assert judged.metrics["test/accuracy"] == run.metrics["test/accuracy"]
    window = run.model.mark(first["path"])
    assert (window.cracks, "marked region" in str(window)) == ((), True)


@pytest.mark.parametrize("group", GROUPS)
def test_groups_set_the_same_from_python(configured: Callable[..., DictConfig], group: str) -> None:
    for choice in choices_of(group):
        root = None if choice == "synthetic" else "x"
        words = [f"{group}={choice}", *([f"data.root={root}"] if root else [])]
        words += ["data=folder"] if group != "data" else ["model=crack_map"] if choice == "masks" else []
        chosen = {"data": "folder", "model": "crack_map" if choice == "masks" else "mobilenet_v2"} | {group: choice}
        made = options_from(TrainOptions, _composed(chosen, {"data.root": root} if root else {}, None))
        _resolve(made)
        other = options_of(configured("train", words))
        made.callbacks, made.logger = other.callbacks, other.logger
        assert made == other, choice
