"""What every command has in common: Hydra in front, one clear message behind."""

import atexit
import gc
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from crack_lightning.cli.command_line import as_given, check_launcher
from crack_lightning.cli.key_help import help_text
from crack_lightning.cli.messages import is_for_user, message
from crack_lightning.cli.options import options_of, register
from crack_lightning.cli.run_folders import check_folder, common_folder, is_multirun, run_folder, wanted_folder
from crack_lightning.cli.shorthand import rewritten
from crack_lightning.cli.verbs import VERBS, function_of, options_class
from crack_lightning.system.files import is_full, write_atomically
from crack_lightning.system.logs import quieten
from crack_lightning.system.names import showable
from crack_lightning.system.option_groups import CONF, check_choice, group_names
from crack_lightning.system.processes import end_at_sigterm, exit_interrupted

log = logging.getLogger(__name__)

FAILED = "error.txt"  # why a point of a sweep failed, in its run folder


def command(name: str) -> None:
    """Runs a command on the options that the command line composes from conf/`name`.yaml; results go into its run
    folder, those of the parts of one piece of work into the folder of their sweep."""
    run_job(partial(_composed, name), config_name=name)


def _composed(name: str, cfg: DictConfig) -> Any:
    options = options_of(cfg)
    is_part = getattr(options, "shard", None) is not None
    return perform(name, options, common_folder() if is_part else run_folder(), says_next=not is_multirun())


def perform(name: str, options: Any, folder: Path, *, says_next: bool = False) -> Any:
    """Runs a command on its options, its results going into `folder`; returns what its function does.

    Ends with exit status 1 where the result says that something failed.
    """
    verb = VERBS[name]
    result = function_of(name)(options, folder)
    if says_next and verb.then:
        log.info("%s", verb.what_next(options, folder))
    if verb.failed(result):
        sys.exit(1)
    return result


def run_job(job: Callable[[DictConfig], Any], *, config_name: str) -> None:
    """Runs `job` on the configuration that the command line composes from conf/`config_name`.yaml.

    A user's mistake ends with one message and exit status 1, Ctrl-C with 130. In a sweep the other points go on."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(help_text(config_name))
        return
    end_at_sigterm()
    register(config_name)
    atexit.register(gc.freeze)  # objects alive at the end need no collection: it takes longer than to drop them
    quieten()
    whole = os.environ.get("HYDRA_FULL_ERROR") == "1"  # the traceback of a mistake too
    threading.excepthook = _thread_ended
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here, not to Hydra's own report of them

    try:
        sys.argv[1:] = as_given(rewritten(config_name, sys.argv[1:]), options_class(config_name))
        check_choices(sys.argv[1:])
        check_launcher(sys.argv[1:])
        check_folder(sys.argv[1:], config_name)
        hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")(
            partial(_run, job, VERBS[config_name].needs, whole)
        )()
    except Exception as error:
        if whole or not is_for_user(error):
            raise
        sys.exit(showable(message(error, options_class(config_name), folder=wanted_folder(sys.argv[1:])), keep="\n"))
    except KeyboardInterrupt:
        exit_interrupted()
    finally:
        if not whole:
            os.environ.pop("HYDRA_FULL_ERROR", None)


def _run(job: Callable[[DictConfig], Any], needs: str | None, whole: bool, cfg: DictConfig) -> Any:
    """Returns what the job does; in a sweep NaN for a user's mistake, which is kept in a file of the run folder."""
    quieten()
    (run_folder() / FAILED).unlink(missing_ok=True)
    try:
        if needs is not None:
            load(needs)
        return job(cfg)
    except KeyboardInterrupt as error:
        log.warning("interrupted%s", f": {error}" if str(error) else "")
        exit_interrupted()
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
    """Passes over a thread of TensorBoard's that finds the disk full: the run that writes to it next reports it."""
    if ended.exc_value is None or not is_full(ended.exc_value):
        threading.__excepthook__(ended)


def load(library: str) -> None:
    """Imports a library without looking for garbage in it: not meanwhile, nor during the run, nor at its end.

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


def check_choices(arguments: Sequence[str]) -> None:
    """Raises UserError, with the near name, for an option that its group does not have."""
    groups = group_names()
    for argument in arguments:
        group, equals, value = argument.lstrip("+").partition("=")
        if equals and group in groups and group != "hydra":
            for choice in value.split(","):
                if choice.strip(" []'\"") not in ("", "null") and choice.isidentifier():
                    check_choice(group, choice)
