"""crack VERB SOURCE key=value, or python -m crack_lightning VERB: what is typed first."""

import os
import sys
from difflib import get_close_matches

from crack_lightning.cli.verbs import VERBS, function_of
from crack_lightning.errors import UserError
from crack_lightning.system.processes import end_at_sigterm, exit_interrupted

AGAIN = "CRACK_LIGHTNING_TRAINS"  # in the environment of the processes that Lightning starts with the same arguments
USAGE = "crack VERB SOURCE key=value ...; crack VERB --help lists the keys"
EXAMPLES = """\
  crack inspect /photos/bridge out=report mm_per_px=0.3  in millimetres: report/report.html
  crack serve /photos/bridge out=bridge                  as a page, to correct and hand over
  crack train /photos/patches out=run                    a checkpoint: run/checkpoints/best.ckpt"""


def main() -> None:
    """Runs the command `crack`."""
    end_at_sigterm()
    try:
        _run(sys.argv[1] if len(sys.argv) > 1 else "--help")
    except KeyboardInterrupt:  # before the command itself has begun
        exit_interrupted()
    except UserError as error:
        sys.exit(str(error))


def _run(word: str) -> None:
    if AGAIN in os.environ and "LOCAL_RANK" in os.environ:
        function_of("train")()
    elif word in ("-h", "--help"):
        sys.stdout.write(f"{_listed()}\n\n{EXAMPLES}\n\n{USAGE}\n")
    elif word == "--version":
        from crack_lightning import __version__

        sys.stdout.write(f"crack_lightning {__version__}\n")
    elif word == "--completion":
        from crack_lightning.cli.completion import script

        sys.stdout.write(script(*sys.argv[2:3]))
    elif word not in VERBS:
        near = get_close_matches(word, VERBS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        sys.stderr.write(f"there is no command {word or '(empty)'}: {hint}{USAGE}\n\n{_listed()}\n")
        sys.exit(2)
    elif {"-h", "--help"} & set(sys.argv[2:]):
        from crack_lightning.cli.key_help import help_text

        sys.stdout.write(help_text(word))
    else:
        del sys.argv[1]
        _perform(word)


def _perform(name: str) -> None:
    if name == "train":
        os.environ[AGAIN] = "1"
        function_of(name)()
        return
    from crack_lightning.cli.command import command

    command(name)


def _listed() -> str:
    return "\n".join(f"  {name:9} {verb.does}" for name, verb in VERBS.items())


if __name__ == "__main__":
    main()
