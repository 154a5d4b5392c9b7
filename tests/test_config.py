import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer
from omegaconf import DictConfig, OmegaConf

from crack_lightning.cli.command import check_choices
from crack_lightning.cli.command_line import as_given
from crack_lightning.cli.options import options_of, plain
from crack_lightning.cli.shorthand import rewritten
from crack_lightning.cli.verbs import options_class
from crack_lightning.data.batches.datamodule import CrackDataModule
from crack_lightning.data.options import DataOptions, SurfacesOptions
from crack_lightning.runs.training.options import TrainOptions
from crack_lightning.system.option_groups import CONF
from crack_lightning.system.option_keys import near_key
from crack_lightning.training.optimizers import check_optimizer, check_scheduler

GROUPS = ["data", "model", "optimizer", "scheduler", "trainer", "callbacks", "logger", "experiment"]
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
PAGES = [CONF.parent / "README.md", *sorted((CONF.parent / "docs").glob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
Compose = Callable[..., DictConfig]
# Said once more: experiments name what they are about, and a root that is drawn is none.
ONLY_YAML_SAYS = {"root", "optimizer.lr", "trainer.max_epochs", "objective", "model"}


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_instantiates(configured: Compose, group: str, option: str) -> None:
    given = group == "data" and option != "synthetic"
    cfg = configured("train", [f"{group}={option}", "data.root=x" if given else "seed=0"])
    if option == "masks":
        cfg.model.kind, cfg.model.lessons = "crack_map", 600
    if group == "experiment" and option == "keras_original":
        cfg.data.root = "x"
    options = options_of(cfg)
    CrackDataModule(options.data, seed=options.seed, cache_dir=options.cache_dir)
    check_optimizer(options.optimizer)
    check_scheduler(options.scheduler)
    for callback in cfg.callbacks.values():
        assert callback is None or isinstance(instantiate(callback, _convert_="all"), Callback)
    if option not in ("gpu", "ddp"):  # there may be none here
        arguments = vars(options.trainer) | {"enable_progress_bar": False}
        assert Trainer(**arguments, logger=False).max_epochs in (options.trainer.max_epochs, 1)


def test_the_defaults_are_those_of_the_port(configured: Compose) -> None:
    cfg = configured("train", [])
    assert (cfg.optimizer.name, cfg.optimizer.lr, cfg.data.batch_size, cfg.trainer.max_epochs) == ("Adam", 1e-3, 64, 5)
    assert (cfg.data.image_size, cfg.data.rotation_degrees, cfg.model.dropout) == (180, 72.0, 0.3)
    assert (list(cfg.data.class_names), cfg.data.positive_class) == (["Negative", "Positive"], "Positive")
    assert options_of(cfg).optimizer.lr == 1e-3


def repeated(values: object, made: object, above: str = "") -> Iterator[str]:
    """The keys of a file of conf/ that have the value which the dataclass has by itself."""
    for key, value in values.items() if isinstance(values, dict) else ():
        own = getattr(made, key, None)
        if isinstance(value, dict) and is_dataclass(own):
            yield from repeated(value, own, f"{above}{key}.")
        elif hasattr(made, key) and value == own:
            yield f"{above}{key}"


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_no_file_repeats_a_default(path: Path) -> None:
    surfaces = SurfacesOptions()
    made: object = TrainOptions(data=DataOptions(root=None, surfaces=surfaces))
    if path.parent != CONF and path.parent.name not in ("experiment", "sweep"):
        made = getattr(made, path.parent.name, None)
    elif path.parent == CONF and path.stem in ("compare", "explain", "export", "inspect", "predict", "serve"):
        kind = options_class(path.stem)
        made = kind(**{key: "x" for key in ("source", "before", "after") if key in kind.__annotations__})
    values = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert [key for key in repeated(values, made) if key not in ONLY_YAML_SAYS] == []


def test_a_repeated_default_is_seen() -> None:
    made = TrainOptions(data=DataOptions(root="x"))
    assert list(repeated({"seed": 0, "model": {"dropout": 0.3, "freeze": False}}, made)) == ["seed", "model.dropout"]


def test_the_original_is_run_as_its_script_ran(configured: Compose) -> None:
    cfg = configured("train", ["experiment=keras_original", "data.root=x"])
    assert (cfg.optimizer.lr, cfg.data.batch_size, cfg.callbacks.early_stopping.patience) == (1e-4, 10, 10)
    assert list(cfg.data.fractions) == [0.8, 0.16, 0.04]
    assert cfg.data.surfaces is None
    assert cfg.features.mode == "live"


@pytest.mark.parametrize(
    "override",
    [
        "model.dropuot=0.1",
        "data.rooot=x",
        "trainer.max_epoch=1",
        "callbacks.early_stopping.patienc=3",
        "lr=1",
        "model.dropout=abc",
        "data.batch_size=many",
        "data.batch_size=1.5",
        "data.class_names=Positive",
        "optimizer.lr=fast",
        "trainer.max_epochs=two",
        "callbacks.early_stopping.patience=abc",
        "seed=x",
        "figures=perhaps",
    ],
)
def test_typos_and_wrong_types_are_refused_with_their_key(configured: Compose, override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(ConfigCompositionException) as caught:
        configured("train", [override])
    assert key.rpartition(".")[2] in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("unknown", "remedy"),
    [
        ("optimizer.lrr", " Did you mean optimizer.lr?"),
        ("optimizer.learning_rate", " optimizer has name, lr, "),
        ("optim.lr", " Did you mean optimizer.lr?"),
        ("qwertz", ""),
    ],
)
def test_a_misspelt_key_gets_the_near_one_or_those_of_its_section(unknown: str, remedy: str) -> None:
    found = near_key(unknown, TrainOptions)
    assert found.startswith(remedy) if remedy else found == ""


def test_what_only_the_user_knows_is_asked_for(configured: Compose) -> None:
    with pytest.raises(ValueError, match=r"data.root not set: give data.root=\.\.\."):
        plain(configured("train", ["data=folder"]))
    with pytest.raises(ValueError, match=r"source not set"):
        plain(configured("inspect", []))
    with pytest.raises(ValueError, match=r"data.root not set"):
        plain(configured("audit", []))


def test_an_unknown_option_of_a_group_suggests_the_near_one() -> None:
    with pytest.raises(ValueError, match=r"model=mobilnet_v2: no such option. did you mean model=mobilenet_v2\?"):
        check_choices(["model=mobilnet_v2"])
    with pytest.raises(ValueError, match=r"model=resnet81"):
        check_choices(["-m", "model=mobilenet_v2,resnet81", "optimizer.lr=1"])
    check_choices(["-m", "model=mobilenet_v2,resnet18", "+experiment=finetune", "data.root=model=x", "logger=none"])


def written_commands() -> list[list[str]]:
    """Of blocks, and of text, where a line may end within them."""
    command = r"(?:python train\.py|crack \w+)"
    blocks = re.findall(rf"^(?:[A-Z_]+=\S+ )?(?:pip .* && )?({command}.*)$", "\n".join(TEXTS.values()), re.MULTILINE)
    within = re.findall(rf"`({command}[^`]*=[^`]*)`", "\n".join(TEXTS.values()))
    return [shlex.split(line, comments=True) for line in dict.fromkeys([*blocks, *within]) if "..." not in line]


def test_the_pages_have_commands() -> None:
    assert len(written_commands()) >= 30


def test_the_page_of_the_configuration_is_what_the_script_writes() -> None:
    GlobalHydra.instance().clear()
    script = runpy.run_path(str(CONF.parent / "docs/make_configuration.py"))
    assert TEXTS["keys.md"] == script["page"](), "run python docs/make_configuration.py"


@pytest.mark.parametrize("name", TEXTS)
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    folder = CONF.parent if name == "README.md" else CONF.parent / "docs"
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", TEXTS[name])):
        path = (folder / target) if target else folder / name
        assert path.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("words", written_commands(), ids=" ".join)
def test_every_command_of_the_pages_parses(configured: Compose, words: list[str], tmp_path: Path) -> None:
    name = words[1].removesuffix(".py")
    overrides = rewritten(name, [word for word in words[2:] if not word.startswith("-")])
    check_choices(overrides)
    if name == "export":
        overrides = as_given(overrides, options_class(name))  # several formats with commas
    many = words[2:3] == ["-m"]
    points = [re.sub(r"=range\((\d+),.*", r"=\1", word) for word in overrides]
    configured(name, [re.sub(r",.*", "", word) if many else word for word in points])


def test_nothing_in_the_configuration_needs_more_than_one_hop(configured: Compose) -> None:
    raw = OmegaConf.to_container(configured("train", ["scheduler=cosine"]), resolve=False)
    assert raw["scheduler"]["options"]["T_max"] == "${trainer.max_epochs}"
    assert raw["trainer"]["max_epochs"] == 5
