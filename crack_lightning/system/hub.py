"""Models on a hub: a name such as hf://user/name@revision is a folder of files, fetched once and kept by the hub's
library."""

import logging
import os
import re
import textwrap
from pathlib import Path
from typing import Any

from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.system.files import expanded

log = logging.getLogger(__name__)

SCHEME = "hf://"
FILE = "model.safetensors"  # what is opened of a model
SHA = re.compile(r"[0-9a-f]{40}")
REMEDY = 'huggingface_hub is not installed: pip install -e ".[hub]"'
NAME = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?$", re.ASCII)


def local_file(path: str | Path) -> Path:
    """The file that `path` names; of a model on a hub a copy, and the log says which revision it is."""
    text = str(path)
    if not text.startswith(SCHEME):
        # Path() makes one slash of two.
        if not text.startswith("hf:/"):
            return expanded(path)
        text = SCHEME + text.removeprefix("hf:/")
    match = NAME.match(text.removeprefix(SCHEME).strip("/"))
    if match is None:
        raise UserError(f"ckpt_path={text}: {SCHEME}user/name, or {SCHEME}user/name@revision")
    return _fetched(match[1], match[2], text)


def _fetched(name: str, revision: str | None, text: str) -> Path:
    hub, offline = _hub(), ""
    try:
        sha = revision
        if revision is None or SHA.fullmatch(revision) is None:
            sha, offline = _latest(hub, name, revision)
        found = Path(hub.hf_hub_download(name, FILE, revision=sha or revision, local_files_only=sha is None))
    except Exception as error:  # of HTTP, of names, of a machine without a network
        raise UserError(
            f"{text} cannot be fetched ({offline or _reason(error)}): check the name and the network, or give a file"
        ) from error
    log.info("%s is %s%s@%s", text, SCHEME, name, found.parent.name)
    return found


def _latest(hub: Any, name: str, revision: str | None) -> tuple[str | None, str]:
    """The full revision on the hub; none, and why, where there is no network: what was fetched before may do."""
    try:
        return str(hub.HfApi().model_info(name, revision=revision).sha), ""
    except Exception as error:  # the library's own of HTTP, and those of what it stands on
        if isinstance(error, hub.errors.HfHubHTTPError):
            raise
        return None, _reason(error)


def _reason(error: BaseException) -> str:
    """What went wrong, on one line, and what brought it about."""
    parts = [" ".join(str(each).split()).strip(" .") for each in (error, error.__cause__) if each is not None]
    return textwrap.shorten("; ".join(dict.fromkeys(part for part in parts if part)) or type(error).__name__, 300)


def check_name(name: str) -> None:
    """Raise UserError for what no model on a hub is called."""
    if NAME.fullmatch(name) is None or "@" in name:
        raise UserError(f"push_to_hub={name}: user/name, of letters, digits, dots and dashes")


def pushed(folder: Path, name: str, *, private: bool) -> str:
    """Put the files of `folder` on the hub under `name`, user/name; the revision that they have there.

    Raises UserError where that cannot be done.
    """
    api = _hub().HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=name, folder_path=folder, commit_message="Exported by crack_lightning")
    except Exception as error:  # of HTTP, of rights, of a machine without a network
        raise UserError(
            f"push_to_hub={name}: {_reason(error)}. The export is in the run folder; log in with `hf auth login`, "
            "or set HF_TOKEN, and try again"
        ) from error
    return str(commit.oid)


def _hub() -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # one commit of all files, rather than several
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingPackage(REMEDY) from error
    return huggingface_hub
