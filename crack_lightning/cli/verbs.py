"""The table of commands: what each does, on which options, and which of its keys are given without their names."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any

VISION = "crack_lightning.system.vision"


@dataclass(frozen=True)
class Verb:
    """A command: what it does, in words; its function and the dataclass of its options, as `module:name`; the keys of
    the arguments without `=`, in their order; the library of those it uses that takes longest to import; and whether
    its result says that something went wrong."""

    does: str
    function: str
    options: str
    places: tuple[str, ...] = ("source",)
    needs: str | None = VISION
    failed: Callable[[Any], object] = bool  # of most functions, how many photographs could not be read
    then: str = ""  # what to do next, {folder} for its results, {source} for what it was given

    @property
    def usage(self) -> str:
        """Returns what is written after the command's name, such as `SOURCE key=value ...`."""
        names = [place.rpartition(".")[2].upper() for place in self.places]
        return " ".join([*names, "key=value ..."])

    def what_next(self, options: object, folder: Path) -> str:
        """Returns where the results are and what to do next."""
        source = str(getattr(options, self.places[0], None) or "SOURCE") if self.places else ""
        return f"next: {self.then.format(folder=quote(str(folder)), source=quote(source))}"


def _never(result: object) -> bool:
    return False


def _any_fault(inspected: Any) -> bool:
    return any(photograph.error or photograph.fault for photograph in inspected)


# In the order of a user's day.
VERBS = {
    "inspect": Verb(
        "marks and measures the cracks in photographs",
        "crack_lightning.runs.inspection.inspecting:inspect_photographs",
        "crack_lightning.runs.inspection.options:InspectOptions",
        failed=_any_fault,
        then="open {folder}/report.html; crack serve {source} corrects what it marked",
    ),
    "serve": Verb(
        "opens a page to look at them, correct, teach and hand over",
        "crack_lightning.page.server:serve_project",
        "crack_lightning.project.options:ServeOptions",
        failed=_never,
    ),
    "compare": Verb(
        "says what became of the cracks between two inspections",
        "crack_lightning.runs.comparison.comparing:compare_runs",
        "crack_lightning.runs.comparison.options:CompareOptions",
        places=("before", "after"),
        then="open {folder}/report.html",
    ),
    "audit": Verb(
        "finds copies, leaks and faults in photographs to train on",
        "crack_lightning.runs.audit.auditing:audit_folder",
        "crack_lightning.runs.audit.options:AuditOptions",
        places=("data.root",),
        needs=None,
        then="open {folder}/audit.html",
    ),
    "train": Verb(
        "trains, reloads the best checkpoint, tests it; as train.py",
        "crack_lightning.cli.training:main",
        "crack_lightning.runs.training.options:TrainOptions",
        places=("data.root",),
        needs="lightning.pytorch",
        then="crack inspect /photos ckpt_path={folder}/checkpoints/best.ckpt; its model_card.md says where it fails",
    ),
    "predict": Verb(
        "classifies patches",
        "crack_lightning.runs.judging.prediction:predict_patches",
        "crack_lightning.runs.judging.options:PredictOptions",
        then="open {folder}/predictions.csv; crack explain {source} shows where the network sees a crack",
    ),
    "evaluate": Verb(
        "judges checkpoints on class folders, crack maps on masks too",
        "crack_lightning.runs.judging.evaluating:evaluate_checkpoints",
        "crack_lightning.runs.judging.options:EvaluateOptions",
        places=("ckpt_path", "data.root"),
        failed=_never,
        then="look at the figures and tables in {folder}",
    ),
    "explain": Verb(
        "shows where in a patch the network sees a crack",
        "crack_lightning.runs.judging.explanation:explain_patches",
        "crack_lightning.runs.judging.options:ExplainOptions",
        then="look at {folder}/explanations",
    ),
    "export": Verb(
        "writes a checkpoint in the formats of other programs",
        "crack_lightning.runs.exporting.exporting:export_checkpoint",
        "crack_lightning.runs.exporting.options:ExportOptions",
        places=("ckpt_path",),
        failed=_never,
        then="{folder}/model_card.md says how other programs open it",
    ),
    "generate": Verb(
        "draws surfaces as class folders",
        "crack_lightning.data.synthetic.surface_folder:generate_surfaces",
        "crack_lightning.data.synthetic.surface_folder:GenerateOptions",
        places=("out",),
        needs=None,
        failed=_never,
        then="crack train {source}",
    ),
    "cache": Verb(
        "lists and clears what is kept between runs",
        "crack_lightning.system.cache:list_or_clear",
        "crack_lightning.system.cache:CacheOptions",
        places=(),
        needs=None,
        failed=_never,
    ),
}


def function_of(name: str) -> Any:
    """Returns the function of a command, imported now."""
    return _imported(VERBS[name].function)


def options_class(name: str) -> type:
    """Returns the dataclass of a command's options, imported now."""
    kind: type = _imported(VERBS[name].options)
    return kind


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
