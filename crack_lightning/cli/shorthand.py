"""Arguments that are typed shorter than Hydra has them: SOURCE, out=FOLDER, epochs=5, data=masks."""

from collections.abc import Iterator, Sequence

from crack_lightning.cli.command_line import MANY
from crack_lightning.cli.verbs import VERBS, options_class
from crack_lightning.data.samples.layouts import LAYOUT_OF_GROUP
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import literal
from crack_lightning.system.option_keys import SHORT_KEYS, keys

# Of Hydra's own, those that the next word belongs to.
WITH_WORD = (
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
    """Returns the arguments of a command as its keys have them.

    A word without `=` is the value of the command's places in their order (`crack inspect /photos`), `out=FOLDER` is
    Hydra's folder, `epochs=` is `trainer.max_epochs=`. `evaluate` takes data=masks, as train.py does, for
    data.layout=masks, and ckpt_path=a,b, which would be a sweep, for the list ckpt_path=[a,b] unless it is one.

    Raises UserError for more words than the command has places.
    """
    words, others = _divided(arguments)
    filled = _filled(command, words, others)
    several = bool(MANY & set(arguments))
    if command == "evaluate":
        others = [_as_layout(argument) for argument in others]
        others = others if several else [_as_list(argument) for argument in others]
    known = dict(keys(options_class(command)))
    short = {key: long for key, long in SHORT_KEYS.items() if long in known}
    if "out" not in known:
        short["out"] = "hydra.sweep.dir" if several else "hydra.run.dir"
    return [_lengthened(argument, short) for argument in (*others, *filled)]


def _divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the words that are values of places, and all other arguments."""
    words, others, belongs = list[str](), list[str](), False
    for argument in arguments:
        named = "=" in argument and not argument.startswith(PATHS)
        is_word = not (belongs or named or argument.startswith(("-", "+")))
        (words if is_word else others).append(argument)
        belongs = argument in WITH_WORD
    return words, others


def _filled(command: str, words: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Yields the words as key=value; fewer than there are places fill the last ones."""
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
    for place, word in zip(places[len(places) - len(words) :], words, strict=True):
        yield f"{place}={word}"
    if command == "train" and words and not {"data", "experiment"} & named:
        yield "data=folder"


def _lengthened(argument: str, short: dict[str, str]) -> str:
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
