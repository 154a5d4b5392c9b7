"""Make the crack map of the package anew: some six minutes on two cores.

    python benchmarks/package_map.py METU/Negative [--count 3000] [--output crack_lightning/models/package_map.json]

METU/Negative holds the sound patches of "Concrete Crack Images for Classification" (Özgenel, Mendeley Data 5y9wdsg2zt,
CC BY 4.0). The first 2,000 of them by name are what every second lesson is drawn onto; no other photograph is read, and
no photograph of a crack. The head is the mean of one for each of two seeds.
"""

import argparse
import json
import logging
from pathlib import Path

from crack_lightning.models.crack_map import CrackMap
from crack_lightning.models.decision import Decision
from crack_lightning.models.weights import resolve_weights
from crack_lightning.runs.training.map_learning import train_head
from crack_lightning.system.files import write_atomically

BACKBONE, WEIGHTS = "mobilenet_v2", "IMAGENET1K_V1"
SOURCES, SEEDS = 2000, (1, 2)
DECISION = Decision(("sound", "cracked"), "cracked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", type=Path)
    parser.add_argument("--count", type=int, default=3000, help="lessons for each seed")
    parser.add_argument("--judged", type=int, default=200, help="lessons that choose the levels")
    parser.add_argument("--output", type=Path, default=Path("crack_lightning/models/package_map.json"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    sources = sorted(arguments.sound.glob("*.jpg"))[:SOURCES]
    state_dict, _ = resolve_weights(BACKBONE, WEIGHTS)
    network = CrackMap(backbone=BACKBONE, decision=DECISION, state_dict=state_dict)
    head = train_head(network, sources, count=arguments.count, level_count=arguments.judged, seeds=SEEDS)
    facts = {
        "backbone": BACKBONE,
        "weights": WEIGHTS,
        "made_of": f"{arguments.count} lessons a seed, seeds {SEEDS}, half of them on {len(sources)} sound patches of "
        "METU (Özgenel, Mendeley Data 5y9wdsg2zt, CC BY 4.0), half on generated surfaces; benchmarks/package_map.py",
        "decision": DECISION.facts(),
        **head.facts(),
    }
    write_atomically(arguments.output, (json.dumps(facts, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main()
