"""Make the crack map of the package: 27 minutes on two cores, 12 GB of memory.

    python benchmarks/package_map.py METU SDNET2018 [--output crack_lightning/models/package_map.safetensors]

METU holds Negative/ and Positive/ of "Concrete Crack Images for Classification" (Özgenel, Mendeley Data 5y9wdsg2zt,
CC BY 4.0), SDNET2018 holds Decks/, Walls/ and Pavements/, each with Non-cracked/ and Cracked/ (Dorafshan, Thomas and
Maguire, Utah State University, CC BY 4.0).

1. The linear head: the mean of one for each of two seeds, from lessons on the first 2,000 patches of Negative/ by name
   and on generated surfaces.
2. The shape correction: from scenes on the same patches, on sound tiles of TILE_PHOTOGRAPHS, and on generated surfaces.
   No photograph of a crack was seen up to here.
3. The levels, from lessons and scenes that nothing was trained on.
4. The judge of marks: from scenes, and from marks on tiles of TILE_PHOTOGRAPHS and METU by the labels of the tiles.
"""

import argparse
import json
import logging
from pathlib import Path

import torch
from package_correction import Canvases, drawn_scenes, train_correction
from package_judge import scene_marks, tile_marks, train_judge
from safetensors.torch import save
from torch import nn

from crack_lightning.engines.folded import fold_batchnorms
from crack_lightning.evaluation.cell_counts import masked_cells
from crack_lightning.features.cells import COVERED, VISIBLE
from crack_lightning.inference.crack_maps import CrackMapReader
from crack_lightning.models.crack_map import CALIBRATION, CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.package_map import FACTS_KEY
from crack_lightning.models.weights import resolve_weights
from crack_lightning.runs.training.map_learning import best_level, held_out_lessons, patch_levels, train_head
from crack_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

BACKBONE, WEIGHTS = "mobilenet_v2", "IMAGENET1K_V1"
PATCHES, SEEDS = 2000, (1, 2)
DECISION = Decision(("sound", "cracked"), "cracked")
TILE_PHOTOGRAPHS = ("7052-", "7016-", "7125-", "7136-", "094-", "014-")  # of SDNET2018; others are for measuring
FIRST_HELD_OUT, LEVEL_SCENES, JUDGE_SCENES = 1_000_000, 120, 500
# Added to the level that suits scenes, and to the level of patches: photographs show more that is mistaken for cracks.
# Chosen by benchmarks/crack_maps.py on every second photograph of CrackSight and DeepCrack, and on METU.
SCENE_MARGIN, PATCH_MARGIN = 0.25, 0.45


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metu", type=Path)
    parser.add_argument("sdnet", type=Path)
    parser.add_argument("--lessons", type=int, default=2500, help="for each seed of the linear head")
    parser.add_argument("--scenes", type=int, default=2600, help="for the correction")
    parser.add_argument("--output", type=Path, default=Path("crack_lightning/models/package_map.safetensors"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    sound, cracked = ([*sorted((arguments.metu / name).glob("*.jpg"))[:PATCHES]] for name in ("Negative", "Positive"))
    tiles = {name: tiles_of(arguments.sdnet, name) for name in ("Non-cracked", "Cracked")}
    state_dict, _ = resolve_weights(BACKBONE, WEIGHTS)
    network = with_head(None, 0.0, state_dict)
    linear = train_head(network, sound, count=arguments.lessons, level_count=200, seeds=SEEDS)
    network = with_head(linear.weight.tolist(), linear.bias, state_dict)
    canvases = Canvases(sound, tiles["Non-cracked"])
    train_correction(network, canvases, arguments.scenes)
    set_levels(network, canvases, sound)
    text = made_of(arguments, len(sound), len(tiles["Non-cracked"]))
    write(arguments.output, network, linear.levels, text)  # with an untrained judge, in case that the rest fails
    reader = CrackMapReader(network, engine="auto")
    scenes = scene_marks(reader, drawn_scenes(canvases, FIRST_HELD_OUT + LEVEL_SCENES, JUDGE_SCENES))
    labelled = tile_marks(reader, [*tiles["Non-cracked"], *sound[::5]], [*tiles["Cracked"], *cracked[::10]])
    train_judge(network, [scenes, labelled])
    write(arguments.output, network, linear.levels, text)


def tiles_of(folder: Path, name: str) -> list[Path]:
    return [path for path in sorted(folder.glob(f"*/{name}/*.jpg")) if path.name.startswith(TILE_PHOTOGRAPHS)]


def with_head(weight: list[float] | None, bias: float, state_dict: dict[str, torch.Tensor] | None) -> CrackMap:
    """Returns a map with this linear head, rounded as it is distributed, and an untrained correction.

    Its batch normalisation is folded into the convolutions: the features take two thirds of the time."""
    rounded = None if weight is None else [float(f"{value:.5g}") for value in weight]
    network = CrackMap(
        backbone=BACKBONE, decision=DECISION, state_dict=state_dict, weight=rounded, bias=bias, corrected=True
    )
    network.features = nn.Sequential(*fold_batchnorms(network.features).children()).requires_grad_(False)
    return network


def set_levels(network: CrackMap, canvases: Canvases, sound: list[Path]) -> None:
    """Sets the level of cells by held-out scenes, and those of patches by held-out lessons."""
    reader = CrackMapReader(network, engine="folded")
    scenes = [each for block in drawn_scenes(canvases, FIRST_HELD_OUT, LEVEL_SCENES) for each in block]
    truths = [masked_cells((each.cover > COVERED) & (each.strength > VISIBLE)) for each in scenes]
    level, counts = best_level([reader.above_median(reader.prepared(each.image)).numpy() for each in scenes], truths)
    log.info("level %.2f: F1 of cells %.3f on held-out scenes", level, counts.f1)
    levels = patch_levels(reader, held_out_lessons(sound, 200, SEEDS[0]))
    network.set_levels(levels | {"level": level + SCENE_MARGIN, "patch_level": levels["patch_level"] + PATCH_MARGIN})


def made_of(arguments: argparse.Namespace, patches: int, tiles: int) -> str:
    return (
        f"linear head: {arguments.lessons} lessons for each of seeds {SEEDS}; correction: {arguments.scenes} scenes; "
        f"drawn onto generated surfaces, {patches} sound patches of METU (Özgenel, Mendeley Data 5y9wdsg2zt, CC BY "
        f"4.0) and, the scenes, {tiles} sound tiles of SDNET2018 (Dorafshan, Thomas and Maguire, CC BY 4.0); judge of "
        "marks: scenes, and tiles of both with their labels; benchmarks/package_map.py"
    )


def write(path: Path, network: CrackMap, linear: dict[str, float], text: str) -> None:
    """Writes everything but the backbone, and the facts as metadata."""
    tensors = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if name in ("weight", "bias") or name.startswith(("correction.", "judge."))
    }
    facts = {
        "backbone": BACKBONE,
        "weights": WEIGHTS,
        "made_of": text,
        "decision": DECISION.facts(),
        **{name: getattr(network, name) for name in CALIBRATION},
        "linear": {name: round(linear[name], 3) for name in CALIBRATION},
    }
    write_atomically(path, save(tensors, metadata={FACTS_KEY: json.dumps(facts, ensure_ascii=False)}))


if __name__ == "__main__":
    main()
