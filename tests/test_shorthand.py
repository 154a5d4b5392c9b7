"""What is typed shorter than Hydra has it, and what a shell completes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from crack_lightning.cli.completion import SHELLS, script
from crack_lightning.cli.shorthand import rewritten
from crack_lightning.cli.verbs import VERBS
from crack_lightning.errors import UserError


@pytest.mark.parametrize(
    ("command", "typed", "meant"),
    [
        ("inspect", "/photos out=x", "hydra.run.dir=x source=/photos"),
        ("inspect", "out=x /photos/a=b.jpg", "hydra.run.dir=x source=/photos/a=b.jpg"),
        ("inspect", "-m shard=0,1 out=x photos", "-m shard=0,1 hydra.sweep.dir=x source=photos"),
        ("inspect", "--cfg job photos", "--cfg job source=photos"),
        ("compare", "one two", "before=one after=two"),
        ("compare", "two before=one", "before=one after=two"),
        ("compare", "one", "before=one"),
        ("evaluate", "best.ckpt /photos", "ckpt_path=best.ckpt data.root=/photos"),
        ("evaluate", "/photos", "data.root=/photos"),
        ("evaluate", "best.ckpt data.roots={a:x,b:y}", "data.roots={a:x,b:y} ckpt_path=best.ckpt"),
        (
            "evaluate",
            "a.ckpt,b.ckpt ~/photos data=masks",
            "data.layout=masks ckpt_path=a.ckpt,b.ckpt data.root=~/photos",
        ),
        ("export", "best.ckpt format=onnx", "format=onnx ckpt_path=best.ckpt"),
        ("generate", "surfaces", "out=surfaces"),
        ("generate", "out=surfaces hydra.run.dir=x", "out=surfaces hydra.run.dir=x"),
        ("train", "/photos epochs=3", "trainer.max_epochs=3 data.root=/photos data=folder"),
        ("train", "/photos data=metu", "data=metu data.root=/photos"),
        ("train", "/photos experiment=keras_original", "experiment=keras_original data.root=/photos"),
        ("train", "model=resnet18", "model=resnet18"),
        ("cache", "clear=all", "clear=all"),
    ],
)
def test_words_and_short_keys_become_keys(command: str, typed: str, meant: str) -> None:
    assert rewritten(command, typed.split()) == meant.split()


@pytest.mark.parametrize(
    ("command", "typed", "text"),
    [
        ("inspect", "a.jpg b.jpg", "crack inspect takes SOURCE; quote a pattern"),
        ("inspect", "a.jpg source=b.jpg", "a.jpg: crack inspect takes SOURCE"),
        ("compare", "a b c", "crack compare takes BEFORE AFTER"),
        ("cache", "clear", "crack cache takes key=value alone"),
        ("inspect", "walls --out report", "--out: a key is written without dashes, out=VALUE"),
        ("inspect", "walls --mm-per-px=0.3", "without dashes, mm_per_px=0.3"),
        ("inspect", "walls out=", "out= is empty: give a folder, or leave it out"),
    ],
)
def test_more_words_than_places_are_refused(command: str, typed: str, text: str) -> None:
    with pytest.raises(UserError, match=text):
        rewritten(command, typed.split())


def completed(shell_script: Path, line: str) -> list[str]:
    """Returns what bash completes at the end of `line`, as it would after a tab."""
    code = (
        f"source {shell_script}; COMP_LINE='{line}'; COMP_POINT={len(line)}; COMP_WORDS=($COMP_LINE);"
        f"[[ '{line}' == *' ' ]] && COMP_WORDS+=(''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _crack 2> /dev/null;"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_verbs_keys_and_values(tmp_path: Path) -> None:
    path = tmp_path / "crack.bash"
    path.write_text(script("bash"))
    assert completed(path, "crack ins") == ["inspect"]
    assert sorted(completed(path, "crack ")) == sorted(VERBS)
    assert completed(path, "crack inspect mm_") == ["mm_per_px="]
    assert completed(path, "crack inspect engine=ope") == ["openvino"]
    assert completed(path, "crack inspect /photos width_classes=") == ["ec2", "aci224", "aashto", "japan"]
    assert "resnet18" in completed(path, "crack train model=")
    assert completed(path, "crack train data.layout=met") == ["metu"]
    assert completed(path, "crack train figures=") == ["true", "false"]
    assert "trainer.max_epochs=" in completed(path, "crack train trainer.max_")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_valid_shell(shell: str) -> None:
    if (place := shutil.which(shell)) is None:
        pytest.skip(f"no {shell} here")
    assert subprocess.run([place, "-n"], input=script(shell), text=True, capture_output=True).stderr == ""


def test_an_unknown_shell_is_refused() -> None:
    with pytest.raises(UserError, match="--completion fish: one of bash, zsh"):
        script("fish")
