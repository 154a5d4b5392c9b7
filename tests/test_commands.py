"""Commands as a user types them: exit status, one message, no traceback."""

import gc
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from crack_lightning.__main__ import AGAIN, main
from crack_lightning.cli import command as commands
from crack_lightning.cli.command import command, load, run_job
from crack_lightning.cli.key_help import help_text
from crack_lightning.cli.run_folders import check_folder
from crack_lightning.cli.verbs import VERBS, function_of, options_class
from crack_lightning.models.decision import Decision
from crack_lightning.system.option_groups import CONF
from crack_lightning.system.option_keys import keys, section_of

REPOSITORY = CONF.parent
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process; its exit status and what it printed to standard error."""

    from crack_lightning.cli.training import train

    def run_command(name: str, *words: str) -> tuple[int, str]:
        GlobalHydra.instance().clear()
        # absl, which OpenVINO imports, closes what it logs to when Hydra sets up its logging: what pytest captures.
        handlers = logging._handlerList  # type: ignore[attr-defined]
        handlers[:] = [each for each in handlers if not type(each()).__module__.startswith("absl")]
        folder = tmp_path / "run"
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *words, f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}"])
        try:
            if name == "train":
                run_job(train, config_name=name)
            else:
                command(name)
        except SystemExit as stop:
            # A text instead of a number is printed by Python at the end of the process, with exit status 1.
            if isinstance(stop.code, str):
                return 1, capfd.readouterr().err + stop.code
            return int(stop.code or 0), capfd.readouterr().err
        return 0, capfd.readouterr().err

    return run_command


@pytest.mark.parametrize("words", [["inspekt", "source=x"], ["inspect; exit 0"], [""], ["help"], ["*"]], ids=str)
def test_an_unknown_verb_ends_with_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["crack", *words])
    with pytest.raises(SystemExit) as end:
        main()
    written = capsys.readouterr()
    assert (end.value.code, written.out) == (2, "")
    assert ("did you mean inspect?" in written.err) == bool(words and words[0].startswith("ins"))
    assert all(f"\n  {name} " in written.err for name in VERBS)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]], ids=str)
def test_crack_alone_lists_the_verbs_and_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["crack", *words])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(VERBS)]] == list(VERBS)
    assert sum(line.startswith("  crack ") for line in lines) == 3
    assert max(map(len, lines)) <= 100


@pytest.mark.slow
def test_processes_that_lightning_starts_know_that_they_train() -> None:
    """It starts them with the same arguments, of which the verb is gone."""
    environment = {**os.environ, AGAIN: "1", "LOCAL_RANK": "1", "PYTHONPATH": str(REPOSITORY)}
    line = [sys.executable, "-m", "crack_lightning", "--cfg", "job"]
    result = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert result.returncode == 0
    assert "max_epochs:" in result.stdout


def test_every_verb_has_its_options_configuration_and_function() -> None:
    for name, verb in VERBS.items():
        assert callable(function_of(name))
        known = [key for key, _ in keys(options_class(name))]
        assert set(verb.places) <= set(known)
        assert (CONF / f"{name}.yaml").is_file()


def test_arguments_of_a_verb_arrive_unchanged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = tmp_path / "a b/$HOME/`ls`/ü"
    words = ["count=2", "size_px=32", f"out={target}", f"hydra.run.dir={tmp_path}/run"]
    monkeypatch.setattr(sys, "argv", ["crack", "generate", *words])
    GlobalHydra.instance().clear()
    main()
    assert len(list(target.rglob("*.jpg"))) == 2


def refused(result: tuple[int, str]) -> str:
    status, text = result
    assert status != 0
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_names_every_key_with_its_meaning(name: str) -> None:
    text = help_text(name)
    for key, hint in keys(options_class(name)):
        if section_of(hint) is None and key not in ("callbacks", "logger"):
            assert re.search(rf"^  {re.escape(key)}(=.*)?( |$)", text, re.MULTILINE), key
    assert text.startswith(f"crack {name} {VERBS[name].usage}\n  {VERBS[name].does}\n")
    if name == "train":
        assert "mobilenet_v2" in text
        assert re.search(r"trainer.max_epochs=5 +also epochs=;", text)
        assert "callbacks.early_stopping.patience=3" in text


def test_help_loads_neither_torch_nor_lightning() -> None:
    code = (
        "import sys, runpy; sys.argv = ['train.py', '--help']\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "finally: print('loaded:', sorted({'torch', 'lightning', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "loaded: []" in result.stdout
    assert "mobilenet_v2" in result.stdout


@pytest.mark.slow
def test_a_command_in_its_own_process_ends_with_one_message(tmp_path: Path) -> None:
    command_line = [sys.executable, "train.py", "data=folder", "data.root=/nowhere", f"hydra.run.dir={tmp_path}"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(
        [*command_line, "model.weights=null"], cwd=REPOSITORY, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 1
    assert "data.root=/nowhere does not exist" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["data=folder"], "data.root not set"),
        (["data=folder", "data.root=/nowhere", "model.weights=null"], "data.root=/nowhere does not exist"),
        (["data.batch_size=0"], "data.batch_size=0"),
        (["data.image_size=8"], "data.image_size=8"),
        (["data.surfaces.count=1", "model.weights=null"], "count=1"),
        (["optimizer.name=Adom"], "did you mean Adam?"),
        (["model.backbone=resnet19"], "did you mean resnet18?"),
        (["model.weights=/no/such/file"], "neither a file nor an entry"),
        (["model=mobilnet_v2"], "did you mean model=mobilenet_v2?"),
        (["scheduler.name=StepLR"], "do not suit StepLR"),
        (["data.surfaces.seed=-1", "model.weights=null"], "seed=-1: must be 0 or more"),
        (["cache_dir=/proc/nope", "model.weights=null"], "give another cache_dir=FOLDER"),
        (["trainer.accelerator=abacus"], "(trainer=cpu runs everywhere)"),
        (["trainer.precision=7"], "7"),
        (["data.root=${x}", "data=folder", "model.weights=null"], "${x} does not exist"),
        (["objective=${nowhere}"], "a text with ${ is quoted"),
        (["ckpt_path=/no/such.ckpt"], "ckpt_path=/no/such.ckpt does not exist"),
        (["model.dropout=abc"], "model.dropout"),
        (["model.dropuot=1"], "dropuot"),
        (["+data.rooot=x"], "there is no key data.rooot. Did you mean data.root?"),
        (["ckpt_path=hf://a/b"], "ckpt_path=hf://a/b: nothing is fetched here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_ends_with_one_message(run: Run, tmp_path: Path, overrides: list[str], text: str) -> None:
    assert text in refused(run("train", *overrides))
    assert not list(tmp_path.rglob("*.jpg")), "surfaces were drawn before the mistake was told"


def test_a_sweep_over_several_processes_is_refused(run: Run) -> None:
    text = refused(run("train", "-m", "trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp", "seed=0,1"))
    assert "would start the whole sweep again" in text


def test_imported_objects_are_frozen_and_objects_of_runs_not() -> None:
    sys.modules.pop("colorsys", None)
    load("colorsys")
    frozen = gc.get_freeze_count()
    assert frozen > 0
    kept = [[number] for number in range(10_000)]  # of a run: the next point of a sweep must not keep it for good
    load("colorsys")
    assert (gc.isenabled(), gc.get_freeze_count() < frozen + len(kept)) == (True, True)
    gc.unfreeze()


@pytest.mark.parametrize("many", [[], ["-m"]])
def test_an_impossible_run_folder_is_reported_before_hydra_makes_it(tmp_path: Path, many: list[str]) -> None:
    (tmp_path / "file").write_text("")
    key = "hydra.sweep.dir" if many else "hydra.run.dir"
    with pytest.raises(NotADirectoryError, match=r"out=.*file/run cannot be made: .*a file; give another out="):
        check_folder([*many, f"{key}={tmp_path}/file/run"], "inspect")
    check_folder([*many, f"{key}={tmp_path}/new/run"], "inspect")
    check_folder([*many, f"{key}={tmp_path}/file/run", "--help"], "inspect")
    assert not (tmp_path / "new").exists()


def test_a_library_that_is_missing_leaves_the_garbage_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError):
        load("nowhere_to_be_had")
    assert gc.isenabled()


def test_a_sweep_runs_every_point_and_compares_them(run: Run, surfaces: Path, tmp_path: Path) -> None:
    tiny = ["data=folder", f"data.root={surfaces}", "data.image_size=32", "data.num_workers=0", "model.weights=null"]
    quick = ["trainer=cpu", "trainer.max_epochs=1", "logger=none", "figures=false"]
    status, _ = run("train", "-m", *tiny, *quick, "model=mobilenet_v2,resnet18", "optimizer.lr=1e-3,1e-4")
    assert status == 0
    assert {path.parent.name for path in (tmp_path / "run").glob("*/metrics.json")} == {"0", "1", "2", "3"}
    assert len((tmp_path / "run/sweep.csv").read_text().splitlines()) == 5


def test_a_point_that_fails_does_not_end_the_sweep(run: Run, surfaces: Path, tmp_path: Path) -> None:
    tiny = ["data=folder", f"data.root={surfaces}", "data.image_size=32", "data.num_workers=0", "model.weights=null"]
    quick = ["trainer=cpu", "trainer.max_epochs=1", "logger=none", "figures=false"]
    text = refused(run("train", "-m", *tiny, *quick, "model.dropout=2,0.1"))
    assert "model.dropout=2.0: must be 0 or more" in text
    assert "1 points of the sweep failed: 0" in text
    assert len((tmp_path / "run/sweep.csv").read_text().splitlines()) == 2


def test_generate_writes_class_folders_and_never_over_others(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "a folder/with 'quotes'"
    words = ["count=4", "size_px=32", "class_names=[sound,cracked]", f'out="{target}"']
    assert run("generate", *words)[0] == 0
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*.jpg")) == [
        "cracked/000001.jpg",
        "cracked/000003.jpg",
        "sound/000000.jpg",
        "sound/000002.jpg",
    ]
    assert "is there already" in refused(run("generate", *words))
    assert "out not set" in refused(run("generate"))
    for names in ("[a,a]", "[../b,c]", "[a]"):
        assert "class_names=" in refused(run("generate", f"class_names={names}", f"out={tmp_path}/other"))
    assert not (tmp_path / "other").exists()


def decision_with(positive_class: str) -> Decision:
    decision = Decision(("sound", "cracked"), "cracked")
    object.__setattr__(decision, "positive_class", positive_class)
    return decision


def test_a_bug_keeps_its_traceback() -> None:
    assert not commands.is_for_user(KeyError("x"))
    with pytest.raises(ValueError, match="not in tuple") as caught:
        decision_with("none of them").positive_index  # noqa: B018  # raised by tuple.index within our own code
    assert not commands.is_for_user(caught.value)


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    generate = [
        sys.executable,
        "-m",
        "crack_lightning",
        "generate",
        "count=48",
        "size_px=64",
        f"out={tmp_path}/set",
    ]
    subprocess.run([*generate, f"hydra.run.dir={tmp_path}/drawn"], cwd=REPOSITORY, check=True, capture_output=True)
    # More of them: python benchmarks/kills.py METU
    kills = [sys.executable, "benchmarks/kills.py", f"{tmp_path}/set", "--train=2", "--inspect=1"]
    result = subprocess.run(kills, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
