import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import metrics

from crack_lightning.runs.training.card import worst_groups


def card(run: Path) -> tuple[dict[str, object], str]:
    """Metadata and text."""
    _, front, text = (run / "model_card.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def test_every_run_writes_a_card_with_its_own_metrics(trained: Callable[..., Path]) -> None:
    run = trained(
        "trainer.max_epochs=1", 'data.group_by="([0-9])[.]jpg$"', "data.fractions=[0.4,0.3,0.3]", "review_band=0.1"
    )
    metadata, text = card(run)
    found = metrics(run)
    results = metadata["model-index"][0]["results"][0]["metrics"]  # type: ignore[index]
    assert {each["type"]: each["value"] for each in results} == {
        kind: pytest.approx(found[f"test/{name}"], abs=1e-6)
        for name, kind in (
            ("recall", "recall"),
            ("precision", "precision"),
            ("accuracy", "accuracy"),
            ("f1", "f1"),
            ("auroc", "roc_auc"),
        )
    }
    assert metadata["pipeline_tag"] == "image-classification"
    for heading in ("Intended use", "Data", "Figures of the test", "Confidence", "Where it fails", "Licences"):
        assert f"\n## {heading}\n" in text
    low, high = found["test/accuracy_low"], found["test/accuracy_high"]
    assert f"| accuracy | {found['test/accuracy']:.4f} | {low:.4f} to {high:.4f} |" in text
    assert f"{found['review/test_share']:.1%} of the test" in text
    assert "test images have a copy in training" in text
    wrong = round((1 - found["test/accuracy"]) * sum(map(int, re.findall(r"\| test \| (\d+) \| (\d+) \|", text)[0])))
    assert f"{wrong} of" in text


def test_a_name_in_the_card_cannot_break_its_tables(
    trained: Callable[..., Path], surfaces: Path, tmp_path: Path
) -> None:
    root = tmp_path / "site"
    for name in ("Negative", "Positive"):
        (root / name).mkdir(parents=True)
        for number, path in enumerate(sorted((surfaces / name).iterdir())):
            (root / name / f"a|b\n<i>{number}.jpg").write_bytes(path.read_bytes())
    _, text = card(trained("trainer.max_epochs=1", f"data.root={root}", "threshold=1.0"))
    rows = [line for line in text.splitlines() if "a\\|b" in line]
    assert rows
    assert all(line.startswith("| ") and line.endswith(" |") and "<i>" not in line for line in rows)


def test_the_worst_groups_are_those_with_the_most_errors() -> None:
    groups = ["a", "a", "a", "b", "b", "c", "d"]
    wrong = [True, True, False, True, False, False, True]
    found = [(each.group, each.images, each.wrong) for each in worst_groups(groups, wrong, most=2)]
    assert found == [("a", 3, 2), ("d", 1, 1)]
    assert worst_groups(groups, [False] * 7, most=2) == []
