"""An option out of range is refused by the dataclass that holds it, with its key."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from conftest import compose_into

from crack_lightning.cli.options import options_of

Values = dict[str, object]
NEEDED = {
    "train": [],
    "evaluate": ["ckpt_path=a.ckpt", "data.root=x"],
    "inspect": ["source=x"],
    "predict": ["source=x"],
    "explain": ["source=x"],
}
MONITOR = {"early_stopping": {"monitor": "val/los"}}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The options of a command, of which only what has no default is given."""
    folder = tmp_path_factory.mktemp("options")
    return cache(lambda command: options_of(compose_into(folder / command, command, NEEDED[command])))


def changed(options: Any, values: Values) -> Any:
    """The options with others, such as data.batch_size, at once."""
    own = {key: value for key, value in values.items() if "." not in key}
    for section in {key.partition(".")[0] for key in values if "." in key}:
        below = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{section}.")}
        own[section] = changed(getattr(options, section), below)
    return replace(options, **own)


@pytest.mark.parametrize(
    ("command", "values", "text"),
    [
        ("train", {"data.root": "/nowhere"}, "add data=folder"),
        ("train", {"data.batch_size": 0}, "data.batch_size=0"),
        ("train", {"data.fractions": [0.9, 0.2, 0.1]}, "data.fractions="),
        ("train", {"data.on_error": "ignore"}, "data.on_error=ignore"),
        ("train", {"data.num_workers": -1}, "data.num_workers=-1"),
        ("train", {"data.rotation_degrees": 400}, "data.rotation_degrees=400"),
        ("train", {"optimizer.lr": -1}, "optimizer.lr=-1"),
        ("train", {"model.dropout": 1}, "model.dropout=1"),
        ("train", {"model.kind": "crack_map", "model.lessons": 600, "model.freeze": False}, "stays frozen"),
        ("train", {"model.kind": "crack_map", "model.lessons": 3}, r"model\.lessons=3: must be from 20 to"),
        ("train", {"trainer.max_epochs": 0}, "trainer.max_epochs=0"),
        ("train", {"trainer.limit_val_batches": 0}, "trainer.limit_val_batches=0: must be a number above 0"),
        ("train", {"trainer.strategy": "ddp_spawn"}, "trainer.strategy=ddp_spawn: must be one of auto, ddp"),
        ("train", {"callbacks": MONITOR}, "callbacks.early_stopping.monitor=val/los: must be one of"),
        ("train", {"seed": -1}, "seed=-1"),
        ("train", {"objective": "test/luck"}, "objective=test/luck"),
        ("train", {"features.views": 0}, "features.views=0: must be from 1 to 1000"),
        ("train", {"features.views": 1_000_000}, "features.views=1000000: must be from 1 to 1000"),
        ("train", {"features.max_cache_gb": float("nan")}, "features.max_cache_gb=nan"),
        ("train", {"features.max_cache_gb": -1}, "features.max_cache_gb=-1"),
        (
            "train",
            {"features.mode": "cached", "model.freeze": False},
            "features=cached keeps what a frozen backbone computes",
        ),
        ("train", {"features.mode": "often"}, "features.mode=often: must be one of auto, cached, live"),
        ("train", {"features.engine": "steam"}, "features.engine=steam: must be one of"),
        ("train", {"features.identity": "name"}, "features.identity=name: must be one of"),
        ("train", {"features.dtype": "int8"}, "features.dtype=int8"),
        ("evaluate", {"data.split": "dev"}, "data.split=dev: must be one of train, val, test$"),
        ("evaluate", {"data.split": "tset"}, r"data.split=tset: must be one of train, val, test; did you mean test\?$"),
        ("evaluate", {"engine": "openvin"}, r"engine=openvin: must be one of auto, .*; did you mean openvino\?$"),
        ("evaluate", {"data.batch_size": 0}, "data.batch_size=0"),
        ("evaluate", {"data.root": None}, "give data.root=FOLDER, or data.roots="),
        ("evaluate", {"data.roots": {"a": "y"}}, "give data.root=FOLDER, or data.roots="),
        (
            "evaluate",
            {"data.root": None, "data.roots": {"a": "x"}, "data.split": "test", "data.split_csv": "s.csv"},
            "not to data.roots",
        ),
        ("evaluate", {"data.root": None, "data.roots": ["x", "y"]}, "data.roots=.*must name folders"),
        ("evaluate", {"data.root": None, "data.roots": {"a/b": "x"}}, "'a/b' becomes a folder's name"),
        ("inspect", {"mm_per_px": 0.0}, "mm_per_px=0.0: must be a number above 0"),
        ("inspect", {"mm_per_px": -1.0}, "mm_per_px=-1.0: must be a number above 0"),
        ("inspect", {"scales": []}, r"scales=\[\]"),
        ("inspect", {"threshold": 2.0}, r"threshold=2.0"),
        ("inspect", {"engine": "steam"}, r"engine=steam"),
        ("inspect", {"memory_mb": 0.0}, r"memory_mb=0.0"),
        ("inspect", {"formats": ["docx"]}, r"formats=\[docx\]: write formats=\[word\]"),
        ("inspect", {"formats": ["pdf"]}, "print report.html to PDF"),
        ("inspect", {"formats": ["dxd"]}, r"formats=dxd: must be one of dxf, .*; did you mean dxf\?"),
        ("inspect", {"width_classes": [float("nan")]}, r"width_classes=\[nan\]"),
        ("inspect", {"width_classes": [0.2, float("inf")]}, r"width_classes=\[0.2, inf\]"),
        ("inspect", {"windows": "doors"}, "windows=doors: must be one of auto, map, crops"),
        ("predict", {"max_megapixels": 0.0}, "max_megapixels=0.0: must be a number above 0"),
        ("explain", {"max_megapixels": 0.0}, "max_megapixels=0.0: must be a number above 0"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_refused_with_its_key(
    options: Callable[[str], Any], command: str, values: Values, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        changed(options(command), values)
