"""The commands as functions: the same keys, checks and files as on the command line, and a small record as result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crack_lightning.api.model import Model, Source, checkpoint_path, load
from crack_lightning.api.returned import AuditRun, ComparisonRun, EvaluationRun, ExportRun, InspectionRun
from crack_lightning.api.run_context import results_folder, with_keys_of
from crack_lightning.data.samples.layouts import LAYOUT_OF_GROUP
from crack_lightning.data.synthetic.surface_folder import GenerateOptions, generate_surfaces
from crack_lightning.runs.audit.auditing import audit_folder
from crack_lightning.runs.audit.options import AuditOptions
from crack_lightning.runs.comparison.comparing import compare_runs
from crack_lightning.runs.comparison.options import CompareOptions
from crack_lightning.runs.exporting.exporting import export_checkpoint
from crack_lightning.runs.exporting.options import ExportOptions
from crack_lightning.runs.inspection.inspecting import inspect_photographs
from crack_lightning.runs.inspection.options import InspectOptions
from crack_lightning.runs.judging.evaluating import evaluate_checkpoints
from crack_lightning.runs.judging.options import EvaluateOptions, PredictOptions
from crack_lightning.runs.judging.prediction import Prediction
from crack_lightning.system.option_keys import options_from
from crack_lightning.system.progress import showing

Checkpoint = Model | str | Path | None  # None: the map of the package
SHARD_KEYS = ("shard", "shards")  # for many machines, on the command line alone


@with_keys_of(InspectOptions, without=SHARD_KEYS)
def inspect(
    source: str | Path,
    *,
    out: str | Path | None = None,
    ckpt_path: Checkpoint = None,
    progress: bool | None = None,
    **options: Any,
) -> InspectionRun:
    """Marks and measures the cracks in all photographs of a folder, a file or a pattern, and writes the report.

    A photograph that cannot be read is a row with its error. Raises UserError or OSError if there is no photograph.

    >>> report = cl.inspect("bridge", out="report", mm_per_px=0.3)
    >>> print(report)
    2 photographs (1 cracked, 1 sound): .../report/report.html
    >>> longest = report.cracks()[0]
    """
    given = options_from(InspectOptions, {**options, "source": source, "ckpt_path": _path(ckpt_path)})
    with results_folder("inspect", out, {"source": source, **options}, progress) as folder:
        return InspectionRun(folder, tuple(inspect_photographs(given, folder)))


@with_keys_of(PredictOptions, without=("source", "jsonl"))
def predict(
    images: Source | Sequence[Source], *, ckpt_path: Checkpoint = None, device: str = "auto", **options: Any
) -> list[Prediction]:
    """Classifies patches by a checkpoint, or the map of the package; see Model.predict. Nothing is written.

    >>> answers = cl.predict("patches/Positive", ckpt_path=model)
    >>> doubtful = [answer.path for answer in answers if answer.needs_review]
    """
    model = ckpt_path if isinstance(ckpt_path, Model) else load(ckpt_path, device=device)
    return model.predict(images, **options)


@with_keys_of(EvaluateOptions)
def evaluate(
    ckpt_path: Checkpoint | Sequence[Any] | Mapping[str, Any],
    root: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    data: str | Mapping[str, Any] = "folder",
    progress: bool | None = None,
    **options: Any,
) -> EvaluationRun:
    """Evaluates one or more models on one folder, or on a mapping of names to folders.

    With data="masks" a crack map is evaluated on masks. `data` may also be a mapping of further keys, such as
    {"split": "test", "split_csv": "run/split.csv"}. Raises UserError or OSError for a model or a folder that cannot be
    used.

    >>> judged = cl.evaluate(model, "patches", out="judged", data={"split": "test", "split_csv": "run/split.csv"})
    >>> judged.metrics["test/accuracy"] == run.metrics["test/accuracy"]
    True
    """
    section: dict[str, Any] = {} if isinstance(data, str) else dict(data)
    if isinstance(data, str) and data != "folder":
        section["layout"] = LAYOUT_OF_GROUP.get(data, data)
    section["roots" if isinstance(root, Mapping) else "root"] = root
    given = options_from(EvaluateOptions, {**options, "data": section, "ckpt_path": _paths(ckpt_path)})
    with results_folder("evaluate", out, {"ckpt_path": given.ckpt_path, "root": root, **options}, progress) as folder:
        return EvaluationRun(folder, evaluate_checkpoints(given, folder))


def compare(
    before: str | Path | InspectionRun,
    after: str | Path | InspectionRun,
    *,
    out: str | Path | None = None,
    progress: bool | None = None,
) -> ComparisonRun:
    """Finds what became of the cracks between two inspections of one place, given by their folders.

    Raises UserError or OSError for a folder that was not written by `inspect`.

    >>> changes = cl.compare("report", "report", out="compared")
    >>> {row["change"] for row in changes.table()}
    {'unchanged'}
    """
    runs = {"before": before, "after": after}
    folders: dict[str, str] = {
        key: str(run.folder if isinstance(run, InspectionRun) else run) for key, run in runs.items()
    }
    given = options_from(CompareOptions, folders)
    with results_folder("compare", out, folders, progress) as folder:
        return ComparisonRun(folder, compare_runs(given, folder))


@with_keys_of(ExportOptions)
def export(
    ckpt_path: Checkpoint,
    format: str | Sequence[str] = "onnx",
    *,
    out: str | Path | None = None,
    progress: bool | None = None,
    **options: Any,
) -> ExportRun:
    """Writes a model for other programs: onnx, openvino, torch_export, safetensors, deepness; several in a list.

    Raises UserError if a file gives other results than the model; all files are removed then.

    >>> print(cl.export(model, "onnx", out="exported"))
    model.onnx: .../exported
    """
    names = format if isinstance(format, str) else ",".join(format)
    given = options_from(ExportOptions, {**options, "ckpt_path": _path(ckpt_path), "format": names})
    with results_folder("export", out, {"ckpt_path": given.ckpt_path, "format": names, **options}, progress) as folder:
        return ExportRun(folder, tuple(export_checkpoint(given, folder)))


@with_keys_of(AuditOptions)
def audit(
    root: str | Path,
    *,
    out: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> AuditRun:
    """Looks for copies, leaks and faults in a folder of photographs to train on.

    `data` are further keys such as {"layout": "sdnet2018"}. Raises UserError or OSError where nothing can be audited.

    >>> faults = cl.audit("patches", out="audit").table()
    """
    given = options_from(AuditOptions, {**options, "data": {**(data or {}), "root": root}})
    with results_folder("audit", out, {"root": root, **options}, progress) as folder:
        return AuditRun(folder, audit_folder(given, folder))


@with_keys_of(GenerateOptions)
def generate(out: str | Path, *, progress: bool | None = None, **options: Any) -> Path:
    """Draws surfaces of concrete into the new folder `out`, with one folder for each class; the last class is cracked.

    Returns the folder. Raises FileExistsError where it is not empty.

    >>> folder = cl.generate("surfaces", count=4, size_px=64)
    """
    given = options_from(GenerateOptions, {**options, "out": out})
    with showing(progress):
        generate_surfaces(given, Path(given.out))
    return Path(given.out)


def _path(given: Checkpoint) -> str | None:
    """Returns the path of the checkpoint of a model, or of a path; None is the map of the package."""
    path = given.ckpt_path if isinstance(given, Model) else given
    return None if path is None else str(checkpoint_path(path))


def _paths(given: Any) -> Any:
    """Returns the checkpoint paths of one model, of a list of models, or of a mapping of names to models."""
    if isinstance(given, Mapping):
        return {str(name): _path(model) for name, model in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [_path(model) for model in given]
    return _path(given)
