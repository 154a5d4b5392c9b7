"""What a hint says can be typed, and what is typed arrives."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from crack_lightning.cli.command_line import as_given
from crack_lightning.cli.verbs import options_class
from crack_lightning.data.samples.listing import find_samples
from crack_lightning.errors import UserError
from crack_lightning.inference.sources import find_photographs
from crack_lightning.system.arguments import typed

Compose = Callable[..., DictConfig]

NAMES = [
    *("/photos/Brücke", "/photos/Bridge (1)", "/photos/裂缝", "/photos/site #3", "a,b", "a=b", "~me", "[x]", "{x}"),
    *("true", "null", "007", "1e5", "no", " x ", "it's", 'say "x"', "back\\slash", "end\\", 'both\\"', "$HOME", "${x}"),
    *("a:b", "x;y", "100%", "a+b", "*", "café\u0301"),
]


def arrived(configured: Compose, command: str, *arguments: str) -> DictConfig:
    return configured(command, as_given(arguments, options_class(command)))


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_comes_back_as_the_value_that_it_names(configured: Compose, name: str) -> None:
    values = (("data.root", name), ("data.class_names", [name, "other"]), ("data.positive_class", name))
    root, names, positive = (shlex.split(typed(key, value)) for key, value in values)
    cfg: Any = arrived(configured, "train", "data=folder", *root, *names, *positive)
    assert (cfg.data.root, list(cfg.data.class_names), cfg.data.positive_class) == (name, [name, "other"], name)
    assert len(root) == len(names) == len(positive) == 1


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("null", "")])
def test_a_path_arrives_as_the_shell_hands_it_over(configured: Compose, name: str) -> None:
    assert arrived(configured, "audit", f"data.root={name}").data.root == name
    assert arrived(configured, "predict", "ckpt_path=a.ckpt", f"source={name}").source == name


def test_class_names_arrive_as_they_are_typed(configured: Compose) -> None:
    cfg = arrived(
        configured, "train", "data=folder", "data.root=x", "data.class_names=[完好,裂缝]", "data.positive_class=裂缝"
    )
    assert list(cfg.data.class_names) == ["完好", "裂缝"]
    cfg = arrived(configured, "train", "data=folder", "data.root=x", "data.class_names=[false,true]")
    assert list(cfg.data.class_names) == ["false", "true"]
    cfg = arrived(configured, "evaluate", "ckpt_path=a", "data.roots={a:/photos/Brücke,b:/x (1)}")
    assert dict(cfg.data.roots) == {"a": "/photos/Brücke", "b": "/x (1)"}


def test_lists_need_no_brackets(configured: Compose) -> None:
    cfg = arrived(configured, "inspect", "source=x", "formats=dxf,coco", "width_classes=0.2,0.3", "scales=1,2,3")
    assert [list(cfg[key]) for key in ("formats", "width_classes", "scales")] == [
        ["dxf", "coco"],
        [0.2, 0.3],
        [1.0, 2.0, 3.0],
    ]
    assert list(arrived(configured, "inspect", "source=x", "formats=dxf").formats) == ["dxf"]
    cfg = arrived(configured, "evaluate", "data.root=x", "data.crack_label=250,50,83")
    assert list(cfg.data.crack_label) == [250, 50, 83]
    assert arrived(configured, "evaluate", "data.root=x", "data.crack_label=#fa3253").data.crack_label == "#fa3253"


@pytest.mark.parametrize("argument", ["mm_per_px=0,3", "width_classes=0,3", "distance_m=2,5"])
def test_a_decimal_comma_is_told_how_to_be_written(argument: str) -> None:
    with pytest.raises(UserError, match=rf"a decimal has a point: write {argument.replace(',', '.')}"):
        as_given([argument], options_class("inspect"))
    assert as_given([argument, "-m"], options_class("inspect")) == [argument, "-m"]  # a sweep


def test_quoted_values_numbers_null_and_sweeps_stay_as_they_are() -> None:
    for argument in ("data.root=null", "optimizer.lr=1e-3", "data.root='/x y'", 'data.root="/ü"', "data=folder", "-m"):
        assert as_given([argument], options_class("train")) == [argument]
    sweep = ["-m", "model.backbone=a,b", "data.root=/x,/y", "optimizer.lr=1,2", "seed=range(0,3)"]
    assert as_given(sweep, options_class("train")) == sweep
    assert as_given(["-m", "data.positive_class=ü,ä"], options_class("train"))[1] == 'data.positive_class="ü","ä"'


def test_an_argument_that_is_no_text_is_reported() -> None:
    with pytest.raises(ValueError, match=r"data.root=/Br\\xfccke: its bytes are not UTF-8; rename it"):
        as_given(["data.root=/Br\udcfccke"], options_class("train"))


def hints(text: str) -> list[str]:
    """Arguments that a message names, as a shell reads them."""
    found = re.findall(r"'[a-z_.]+=(?:[^']|'\"'\"')*'|\b[a-z_.]+=[^\s':]+", text)
    return [word for each in found for word in shlex.split(each)]


def test_the_hints_of_messages_are_keys_of_their_commands(configured: Compose, tmp_path: Path) -> None:
    (tmp_path / "Bridge (1)/ü/Negative").mkdir(parents=True)
    (tmp_path / "Bridge (1)/ü/Positive").mkdir()
    with pytest.raises(FileNotFoundError) as deep:
        find_samples(tmp_path, ["Negative", "Positive"])
    (tmp_path / "site/no").mkdir(parents=True)
    (tmp_path / "site/yes").mkdir()
    with pytest.raises(FileNotFoundError) as named:
        find_samples(tmp_path / "site", ["Negative", "Positive"])
    (tmp_path / "IMG.HEIC").write_bytes(b"x")
    root, *_ = hints(str(deep.value))
    assert arrived(configured, "train", "data=folder", root).data.root == str(tmp_path / "Bridge (1)/ü")
    names, positive, *_ = hints(str(named.value))
    cfg = arrived(configured, "train", "data=folder", "data.root=x", names, positive)
    assert (list(cfg.data.class_names), cfg.data.positive_class) == (["no", "yes"], "yes")
    assert list(arrived(configured, "evaluate", "ckpt_path=a", names).data.class_names) == ["no", "yes"]
    with pytest.raises(FileNotFoundError) as nothing:
        find_photographs(f"{tmp_path}/site (2)")
    assert arrived(configured, "predict", "ckpt_path=a", hints(str(nothing.value))[0]).source == f"{tmp_path}/site (2)"
