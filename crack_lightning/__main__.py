"""python -m crack_lightning VERB key=value, or crack VERB key=value: the commands, in one table."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from crack_lightning.system.processes import INTERRUPTED, end_at_sigterm


@dataclass(frozen=True)
class Verb:
    """A command: what it does, in words; the function of its options and its folder; the library of those it uses that
    takes longest to import; and whether something went wrong that its result tells of."""

    does: str
    function: str
    needs: str | None = None
    failed: Callable[[Any], object] = bool  # of most functions, how many photographs could not be read


def _never(result: object) -> bool:
    return False


def _any_fault(inspected: Any) -> bool:
    return any(each.error or each.fault for each in inspected)


VERBS = {
    "inspect": Verb(
        "marks and measures the cracks in whole photographs",
        "crack_lightning.runs.inspection.inspecting:inspect_photographs",
        "crack_lightning.system.vision",
        _any_fault,
    ),
    "serve": Verb(
        "a page to inspect, correct, teach and hand over",
        "crack_lightning.page.server:serve_project",
        "crack_lightning.system.vision",
        _never,
    ),
    "compare": Verb(
        "says what became of the cracks between two inspections",
        "crack_lightning.runs.comparison.comparing:compare_runs",
        "crack_lightning.system.vision",
    ),
    "train": Verb("trains, reloads the best checkpoint, tests it; as train.py", "crack_lightning.cli.training:main"),
    "predict": Verb(
        "classifies patches", "crack_lightning.runs.judging.prediction:predict_patches", "crack_lightning.system.vision"
    ),
    "adapt": Verb(
        "makes a crack map of a site from its own photographs, without labels",
        "crack_lightning.runs.training.adaptation:adapt_map",
        "crack_lightning.system.vision",
    ),
    "explain": Verb(
        "shows where in a patch the network sees a crack",
        "crack_lightning.runs.judging.explanation:explain_patches",
        "crack_lightning.system.vision",
    ),
    "evaluate": Verb(
        "judges checkpoints on class folders, crack maps on masks too",
        "crack_lightning.runs.judging.evaluating:evaluate_checkpoints",
        "crack_lightning.system.vision",
        _never,
    ),
    "export": Verb(
        "writes a checkpoint in the formats of other programs",
        "crack_lightning.runs.exporting.exporting:export_checkpoint",
        "crack_lightning.system.vision",
        _never,
    ),
    "audit": Verb("finds copies, leaks and faults in photographs", "crack_lightning.runs.audit.auditing:audit_folder"),
    "generate": Verb(
        "draws surfaces as class folders",
        "crack_lightning.data.synthetic.surface_folder:generate_surfaces",
        failed=_never,
    ),
    "cache": Verb(
        "lists and clears what is kept between runs", "crack_lightning.system.cache:list_or_clear", failed=_never
    ),
}
AGAIN = "CRACK_LIGHTNING_TRAINS"  # tells the processes that Lightning starts with these arguments what they are
USAGE = "crack VERB key=value ...; crack VERB --help lists the keys"


def perform(name: str, options: Any, folder: Path) -> Any:
    """Runs a verb on its options, its results going into `folder`; returns what its function does.

    Ends with exit status 1 where it says that something failed.
    """
    verb = VERBS[name]
    result = _function(verb)(options, folder)
    if verb.failed(result):
        sys.exit(1)
    return result


def _function(verb: Verb) -> Any:
    module, _, name = verb.function.partition(":")
    return getattr(import_module(module), name)


def main() -> None:
    """The command `crack`."""
    end_at_sigterm()
    try:
        _performed()
    except KeyboardInterrupt:  # before the command itself has begun
        sys.exit(INTERRUPTED)


def _performed() -> None:
    if AGAIN in os.environ and "LOCAL_RANK" in os.environ:
        _function(VERBS["train"])()
        return
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    if given in ("-h", "--help"):
        sys.stdout.write(f"{USAGE}\n\n{_listed()}\n")
        return
    if given not in VERBS:
        near = get_close_matches(given, VERBS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        sys.stderr.write(f"{f'there is no command {given}' if given else 'no command'}: {hint}{USAGE}\n\n{_listed()}\n")
        sys.exit(2)
    del sys.argv[1]
    if given == "train":
        os.environ[AGAIN] = "1"
        _function(VERBS[given])()
        return
    from crack_lightning.cli.command import command

    command(given, perform, needs=VERBS[given].needs)


def _listed() -> str:
    return "\n".join(f"  {name:9} {verb.does}" for name, verb in VERBS.items())


if __name__ == "__main__":
    main()
