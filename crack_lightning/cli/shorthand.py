"""Expands short arguments into Hydra's: SOURCE, out=FOLDER, epochs=5, data=masks."""

from collections.abc import Iterator, Sequence

from crack_lightning.cli.command_line import MULTIRUN_FLAGS
from crack_lightning.cli.verbs import VERBS, options_class
from crack_lightning.data.samples.layouts import LAYOUT_OF_GROUP
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import literal
from crack_lightning.system.option_keys import SHORT_KEYS, keys

# Hydra's flags that take the next word as their value.
FLAGS_WITH_VALUE = (
    "--cfg",
    "-c",
    "--package",
    "-p",
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--config-dir",
    "-cd",
    "--experimental-rerun",
    "--info",
    "-i",
)
PATHS = ("/", "./", "../", "~")  # what begins so is a path, even with a = in it


def rewritten(command: str, arguments: Sequence[str]) -> list[str]:
    """Returns the arguments of a command with every key written out.

    A word without `=` is a positional argument (`crack inspect /photos`); `out=FOLDER` is Hydra's folder; `epochs=` is
    `trainer.max_epochs=`. For `evaluate`, data=masks is data.layout=masks, and ckpt_path=a,b becomes the list
    ckpt_path=[a,b], except in a multirun.

    Raises UserError for more words than the command has places.
    """
    _check_dashes(command, arguments)
    words, others = _words_and_others(arguments)
    filled = _positional_keys(command, words, others)
    several = bool(MULTIRUN_FLAGS & set(arguments))
    if command == "evaluate":
        others = [_as_layout(argument) for argument in others]
        others = others if several else [_as_list(argument) for argument in others]
    known = dict(keys(options_class(command)))
    short = {key: long for key, long in SHORT_KEYS.items() if long in known}
    if "out" not in known:
        short["out"] = "hydra.sweep.dir" if several else "hydra.run.dir"
    return [_with_long_key(argument, short) for argument in (*others, *filled)]


def _check_dashes(command: str, arguments: Sequence[str]) -> None:
    """Raises UserError for a key with dashes before it, as other programs have them, and for out= without a folder."""
    known = {"out", *SHORT_KEYS, *(key for key, _ in keys(options_class(command)))}
    for argument in arguments:
        key, _, value = argument.lstrip("-").replace("-", "_").partition("=")
        if argument.startswith("--") and key in known:
            raise UserError(f"{argument}: a key is written without dashes, {key}={value or 'VALUE'}")
        if argument in ("out=", "hydra.run.dir=", "hydra.sweep.dir="):
            raise UserError(f"{argument} is empty: give a folder, or leave it out")


def _words_and_others(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the positional words, and all other arguments."""
    words, others, belongs = list[str](), list[str](), False
    for argument in arguments:
        named = "=" in argument and not argument.startswith(PATHS)
        is_word = not (belongs or named or argument.startswith(("-", "+")))
        (words if is_word else others).append(argument)
        belongs = argument in FLAGS_WITH_VALUE
    return words, others


def _positional_keys(command: str, words: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Yields the positional words as key=value; for `evaluate` a single word is the last of them, the folder."""
    named = {argument.partition("=")[0] for argument in others}
    places = [place for place in VERBS[command].places if place not in named]
    if len(words) > len(places):
        taken = " ".join(place.rpartition(".")[2].upper() for place in VERBS[command].places) or "key=value alone"
        raise UserError(
            f"{' '.join(words)}: crack {command} takes {taken}; quote a pattern ('/photos/*.jpg') and write everything "
            "else as key=value"
        )
    if len(words) == 1 and words[0].endswith(".ckpt") and "ckpt_path" in places:
        places = ["ckpt_path"]
    first = len(places) - len(words) if command == "evaluate" else 0  # its checkpoint may be left out
    for place, word in zip(places[first:], words, strict=False):
        yield f"{place}={word}"
    if command == "train" and words and not {"data", "experiment"} & named:
        yield "data=folder"


def _with_long_key(argument: str, short: dict[str, str]) -> str:
    key, equals, value = argument.partition("=")
    return f"{short[key]}={value}" if equals and key in short else argument


def _as_layout(argument: str) -> str:
    key, _, value = argument.partition("=")
    return f"data.layout={LAYOUT_OF_GROUP[value]}" if key == "data" and value in LAYOUT_OF_GROUP else argument


def _as_list(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key != "ckpt_path" or "," not in value or value[0] in "[{'\"":
        return argument
    return f"ckpt_path={literal([path.strip() for path in value.split(',')])}"
