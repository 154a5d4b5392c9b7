"""What every command has in common: Hydra in front, one clear message behind."""

import atexit
import gc
import importlib
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import GrammarParseError, InterpolationResolutionError

from crack_lightning.cli.command_line import MANY, as_given, check_launcher, rewritten
from crack_lightning.cli.options import COMMANDS, keys, near_key, options_of, register, section_of
from crack_lightning.errors import UserError
from crack_lightning.system.arguments import typed
from crack_lightning.system.files import full_message, is_full, write_atomically
from crack_lightning.system.names import showable
from crack_lightning.system.processes import INTERRUPTED, end_at_sigterm

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]
# In a checkout beside the package, in an installed wheel within it.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if (folder / "train.yaml").is_file())

# Raised by libraries, with a text meant for the user.
SPOKEN_BY_NAME = ("MisconfigurationException", "MlflowException")

FAILED = "error.txt"  # why a point of a sweep failed, in its run folder

# Said by libraries on runs where nothing is amiss.
QUIET = (
    "\\s*'hydra/launcher/\\w+' is validated against ConfigStore schema",  # files of conf/ are named as the plugins' are
    ".*does not have many workers",
    ".*number of training batches .* is smaller than the logging interval",
    ".*module\\(s\\) in eval mode at the start of training",  # the frozen backbone
    "This property will be removed in 2.0.0. Use `Metric.updated_called`",  # torchmetrics, under the graph's tracer
    ".*torch.jit.trace",  # TensorBoard's model graph
    ".*isinstance\\(treespec, LeafSpec\\)",
)


def command(name: str, perform: Callable[[str, Any, Path], Any], *, needs: str | None = None) -> None:
    """Have `perform` run the verb `name` on the options that the command line composes from conf/`name`.yaml, and its
    run folder; the folder of a sweep is common to all parts of one piece of work."""
    run_job(partial(_perform, name, perform), config_name=name, needs=needs)


def _perform(name: str, perform: Callable[[str, Any, Path], Any], cfg: DictConfig) -> Any:
    options = options_of(cfg)
    is_part = getattr(options, "shard", None) is not None
    return perform(name, options, common_folder() if is_part else run_folder())


def run_job(job: Callable[[DictConfig], Any], *, config_name: str, needs: str | None = None) -> None:
    """Run `job` on the configuration that the command line composes from conf/`config_name`.yaml.

    A user's mistake ends with one message and exit status 1, Ctrl-C with 130. In a sweep the other points go on.
    `needs` is the library that takes longest to import of those that the job uses.
    """
    end_at_sigterm()
    register()
    atexit.register(gc.freeze)  # objects alive at the end need no collection: it takes longer than to drop them
    quieten()
    whole = os.environ.get("HYDRA_FULL_ERROR") == "1"  # the traceback of a mistake too
    threading.excepthook = _thread_ended
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here, not to Hydra's own report of them

    try:
        sys.argv[1:] = as_given(rewritten(config_name, sys.argv[1:]), COMMANDS[config_name])
        check_choices(sys.argv[1:])
        check_launcher(sys.argv[1:])
        check_folder(sys.argv[1:])
        hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(
            partial(_run, job, needs, whole)
        )()
    except Exception as error:
        if whole or not is_for_user(error):
            raise
        sys.exit(showable(message(error, COMMANDS[config_name], folder=wanted_folder(sys.argv[1:])), keep="\n"))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        if not whole:
            os.environ.pop("HYDRA_FULL_ERROR", None)


def _run(job: Callable[[DictConfig], Any], needs: str | None, whole: bool, cfg: DictConfig) -> Any:
    """What the job returns; in a sweep NaN for a user's mistake, which is kept in a file of the run folder."""
    quieten()
    (run_folder() / FAILED).unlink(missing_ok=True)
    try:
        if needs is not None:
            load(needs)
        return job(cfg)
    except KeyboardInterrupt as error:
        log.error("interrupted%s", f": {error}" if str(error) else "")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if whole or not is_for_user(error):
            raise
        log.error("%s", message(error, folder=run_folder()))
        if not is_multirun():
            sys.exit(1)
        # A file, since the points of a sweep may run in processes of their own.
        write_atomically(run_folder() / FAILED, f"{showable(message(error))}\n".encode())
        return float("nan")


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    """A thread of TensorBoard's that finds the disk full; the run that writes to it next says so."""
    if ended.exc_value is None or not is_full(ended.exc_value):
        threading.__excepthook__(ended)


def load(library: str) -> None:
    """Import a library without looking for garbage in it: not meanwhile, nor during the run, nor at its end.

    That is a second less of torchvision's three and a half, and two of Lightning's five and a half.
    """
    if library in sys.modules:
        return
    gc.disable()
    try:
        importlib.import_module(library)
    finally:
        gc.freeze()
        gc.enable()


def run_folder() -> Path:
    """Where this run writes everything."""
    return Path(HydraConfig.get().runtime.output_dir)


def common_folder() -> Path:
    """Where all points of a sweep write what is of all of them; of a single run its folder."""
    return run_folder() if not is_multirun() else Path(HydraConfig.get().sweep.dir).absolute()


def is_multirun() -> bool:
    """Whether this job is one of a Hydra multirun."""
    return HydraConfig.get().mode is hydra.types.RunMode.MULTIRUN


def check_choices(arguments: Sequence[str]) -> None:
    """Raise ValueError, with the near name, for a group's option that there is none of."""
    for argument in arguments:
        group, equals, value = argument.lstrip("+").partition("=")
        folder = CONF / group
        if not equals or group == "hydra" or not group.replace("_", "").isalpha() or not folder.is_dir():
            continue
        options = sorted(path.stem for path in folder.glob("*.yaml"))
        for choice in value.split(","):
            if choice.strip(" []'\"") not in ("", "null", *options) and choice.isidentifier():
                near = get_close_matches(choice, options, 1)
                hint = f"did you mean {group}={near[0]}? " if near else ""
                raise UserError(f"{group}={choice}: no such option. {hint}There are {', '.join(options)}")


def _folder_key(arguments: Sequence[str]) -> str:
    return "hydra.sweep.dir" if MANY & set(arguments) else "hydra.run.dir"


def wanted_folder(arguments: Sequence[str]) -> Path:
    """The run folder that is asked for, or the one that all are made in."""
    key = _folder_key(arguments)
    given = [argument.partition("=")[2] for argument in arguments if argument.partition("=")[0] == key]
    return Path(given[-1].strip("'\"") if given else "outputs").absolute()


def check_folder(arguments: Sequence[str]) -> None:
    """Raise OSError where the run folder cannot be made: Hydra, which makes it, would end with a traceback."""
    if {argument for argument in arguments if argument.startswith("-")} - MANY:
        return  # --help, --cfg: nothing is written
    key, folder = _folder_key(arguments), wanted_folder(arguments)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{key}={folder} cannot be made: {there} is a file; give another {key}=FOLDER")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{key}={folder} cannot be made: {there} cannot be written to; give another {key}=FOLDER")


def is_for_user(error: BaseException) -> bool:
    """Whether an error is a message of ours, or of the system about a file, rather than a bug."""
    return (
        isinstance(error, UserError | OSError | HydraException | InterpolationResolutionError | GrammarParseError)
        or type(error).__name__ in SPOKEN_BY_NAME
    )


def message(error: Exception, schema: type | None = None, *, folder: Path | None = None) -> str:
    """The text to show: of an error in a loading process, its last line; of a full disk, the folder and the remedy.

    `schema` is the configuration that keys are looked for in, `folder` the one that is written to.
    """
    if str(error).startswith("Caught UserError in DataLoader worker"):
        return str(error).strip().splitlines()[-1].partition("UserError: ")[2]
    if isinstance(error, OSError) and is_full(error):
        known = error.strerror and "no room is left" in error.strerror
        place = Path(error.filename).absolute().parent if error.filename else folder or Path.cwd()
        return str(error.strerror) if known else full_message(place)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename} cannot be read or written: {error.strerror}"
    if isinstance(error, InterpolationResolutionError | GrammarParseError):
        return f"{str(error).splitlines()[0]} (a text with ${{ is quoted and has a backslash before it)"
    if isinstance(error, OverrideParseException):
        key, _, value = str(error.override).partition("=")
        return f"{error.override}: not in the grammar of arguments; a text is quoted as in {typed(key, value)}"
    if isinstance(error, ConfigCompositionException):
        return _composition(error, schema)
    return str(error)


def _composition(error: Exception, schema: type | None) -> str:
    """Hydra's words on a configuration, with the near key for one that there is none of."""
    words = " ".join(f"{error} {error.__cause__ or ''}".split("\n")[:4])
    if schema is None or (unknown := re.search(r"Could not override '([^']+)'", words)) is None:
        return words
    if not any(unknown[1].startswith(f"{key}.") and section_of(hint) is None for key, hint in keys(schema)):
        words = re.sub(r"\s*To append to your config use \S+", "", words)  # where nothing can be appended
    return words + near_key(unknown[1], schema)


def quieten() -> None:
    """Keep what libraries say on every run, whatever the user does, out of the way of what matters."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for text in QUIET:
        warnings.filterwarnings("ignore", message=text)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        logging.getLogger().setLevel(logging.WARNING)
