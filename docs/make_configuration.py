"""python docs/make_configuration.py: writes docs/keys.md from the dataclasses of the options and conf/."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_origin

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from crack_lightning.cli.options import register
from crack_lightning.cli.verbs import VERBS, options_class
from crack_lightning.system.option_groups import CONF
from crack_lightning.system.option_keys import comments_of, keys, section_of

PAGE = Path(__file__).with_name("keys.md")
GROUPS = ("data", "model", "features", "optimizer", "scheduler", "trainer", "logger", "experiment", "sweep")
CALLBACKS = "callbacks/default"  # whose keys stand in YAML alone
NESTED = 2  # spaces of a level in conf/
HEAD = """# Commands and keys

*Written by `python docs/make_configuration.py` from the table of commands, the dataclasses of the options and `conf/`;
a test holds it equal.*

Every command takes `--help` (its keys), `--cfg job` (what it would run with) and `-m` (a sweep: values with commas),
and writes into `out=FOLDER`, or `outputs/<command>/<date>/<time>/`. `crack` is `python -m crack_lightning`, `crack
train` is `python train.py`. A shell completes commands, keys and values after `crack --completion bash > FILE` (or
`zsh`), where FILE is read by the shell when it starts. Paths and names are taken as the shell hands them over:
`'source=/photos/Brücke (3)'`, `'data.class_names=[完好,裂缝]'`.

The dataclasses hold the defaults, `conf/` the groups. A *group* is swapped whole (`data=folder`, `model=resnet18`), a
key is set (`optimizer.lr=1e-4`). A typo or a value of another type is refused with the key named, before any data is
read. `???` is what only you know, `null` is nothing.

```
python train.py model=resnet18 optimizer.lr=1e-4 epochs=10
python train.py experiment=finetune data=folder data.root=/photos/site        # the backbone is trained too, slowly
python train.py model.freeze=false optimizer.backbone_lr=1e-4                 # the same by keys
crack train /photos/SDNET2018 data=sdnet2018 task.class_weights=balanced
crack train /photos/site threshold=recall:0.99 review_band=0.005
crack train /photos/site data.group_by=near_duplicates leakage=overlap
python train.py -m sweep=learning_rate                                        # six runs, then sweep.csv
python train.py trainer=debug                                                 # every stage on three batches
crack predict /photos/patches ckpt_path=best.ckpt jsonl=true
crack evaluate best.ckpt /photos/site 'data.class_names=[no_crack,crack]'
crack cache clear=features
```
"""


def page() -> str:
    """The whole page; Hydra must not be initialised yet."""
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        parts = [HEAD, _table(), _extras(), _groups(), *(_command(name, options_class(name)) for name in VERBS)]
    return "\n".join(parts)


def _table() -> str:
    """Returns the table of commands."""
    rows = [
        f"| `crack {name} {verb.usage.partition('key=')[0]}".rstrip() + f"` | {verb.does} |"
        for name, verb in VERBS.items()
    ]
    return "\n".join(["## Commands\n", "| command | what it does |", "|---|---|", *rows, ""])


def _extras() -> str:
    """Returns the table of extras, from the comments in pyproject.toml."""
    text = (CONF.parent / "pyproject.toml").read_text("utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    rows = [f"| `{name}` | {what} |" for name, what in re.findall(r"^(\w+) = \[.*\] # (.*)$", section, re.MULTILINE)]
    rows.append("| `dev` | the tests |")
    return "\n".join(
        [
            "## Extras\n",
            'Installed by `pip install -e ".[offline,page]"`:\n',
            "| extra | what for |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _groups() -> str:
    chosen = _composed("train", hydra=True).hydra.runtime.choices
    lines = ["## Groups of `train.py`\n"]
    for group in GROUPS:
        lines.append(f"`{group}` (default `{chosen.get(group) or 'null'}`)\n")
        lines += [_option(path) for path in sorted((CONF / group).glob("*.yaml"))]
        lines.append("")
    return "\n".join(lines)


def _option(path: Path) -> str:
    heading = [line[2:] for line in path.read_text("utf-8").splitlines() if line.startswith("# ")]
    said = " ".join(line for line in heading if not line.startswith("@package"))
    return f"- `{path.stem}`" + (f": {said}" if said else "")


def _command(name: str, kind: type) -> str:
    comments = {**comments_of(kind), **(dict(_comments(CALLBACKS)) if name == "train" else {})}
    cfg = _composed(name)
    lines = [f"## `{'train.py' if name == 'train' else f'crack {name}'}`\n"]
    lines += ["| key | type | default | |", "|---|---|---|---|"]
    for key, kind_of_key in keys(kind):
        if section_of(kind_of_key) is not None:
            continue
        parts = _parts(cfg, key)
        rows = [(part, type(value), _shown(value)) for part, value in parts] or [(key, kind_of_key, _default(cfg, key))]
        lines += [_row(*row, comments.get(row[0], "")) for row in rows]
    return "\n".join(lines) + "\n"


def _composed(name: str, *, hydra: bool = False) -> DictConfig:
    return compose(config_name=name, return_hydra_config=hydra)


def _comments(file: str) -> Iterator[tuple[str, str]]:
    """Each key of a file of conf/, with the section it is in, and what the comment behind it says."""
    path = [file.partition("/")[0]] if "/" in file else []
    above: list[str] = []
    for line in (CONF / f"{file}.yaml").read_text("utf-8").splitlines():
        if match := re.match(r"( *)([\w.]+):[^#]*(?:# (.*))?$", line):
            above = [*above[: len(match[1]) // NESTED], match[2]]
            if match[3]:
                yield ".".join([*path, *above]), match[3]


def _parts(cfg: DictConfig, key: str) -> list[tuple[str, Any]]:
    """The keys within one that holds callbacks, and their values; none of any other key."""
    if key != "callbacks":
        return []
    return [
        (f"{key}.{name}.{option}", value)
        for name, options in _raw(cfg, key).items()
        for option, value in options.items()
        if option not in ("_target_", "dirpath")
    ]


def _default(cfg: DictConfig, key: str) -> str:
    section, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, section) if section else cfg
    if node is None:
        return "null"
    if OmegaConf.is_missing(node, name):
        return "???"
    if key == "logger":
        return "see its group"
    return _shown(_raw(node, name))


def _raw(node: DictConfig, name: str) -> Any:
    """A value as it stands in the file, with what it refers to still by name."""
    return cast("dict[str, Any]", OmegaConf.to_container(node, resolve=False))[name]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, bool | NoneType):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _row(key: str, hint: Any, default: str, said: str) -> str:
    cells = (f"`{key}`", _type_name(hint), f"`{default}`", said)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type_name(hint: Any) -> str:
    """A type as its users would say it."""
    if hint is Any:
        return "any"
    if get_origin(hint) in (list, dict):
        return "mapping" if get_origin(hint) is dict else f"list of {_type_name(get_args(hint)[0])}"
    if parts := [part for part in get_args(hint) if part is not NoneType]:
        return " or ".join(map(_type_name, parts)) + (", null" if NoneType in get_args(hint) else "")
    if hint is NoneType:
        return "text, null"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(hint, hint.__name__)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
