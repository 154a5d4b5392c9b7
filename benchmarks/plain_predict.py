"""What one would write for a folder of patches without this project: PIL, torchvision, the network as it is.

python benchmarks/plain_predict.py CHECKPOINT PATCHES predictions.csv   a checkpoint of a MobileNetV2
"""

import csv
import sys
from pathlib import Path

import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import v2

BATCH = 64


def main(checkpoint: str, patches: str, table: str) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    facts = saved["crack_classifier"]["facts"]
    weights = {name.removeprefix("classifier."): value for name, value in saved["state_dict"].items()}
    network = models.mobilenet_v2(num_classes=2).eval()
    network.features.load_state_dict({k.removeprefix("features."): v for k, v in weights.items() if "features." in k})
    network.classifier[1].load_state_dict({"weight": weights["head.weight"], "bias": weights["head.bias"]})
    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize((facts["image_size"],) * 2, antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(weights["pixel_mean"].flatten().tolist(), weights["pixel_std"].flatten().tolist()),
        ]
    )
    positive = facts["class_names"].index(facts["positive_class"])
    paths, rows = sorted(Path(patches).rglob("*.jpg")), list[tuple[str, float]]()
    with torch.no_grad():
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            pictures = torch.stack([transform(Image.open(path).convert("RGB")) for path in batch])
            probabilities = (network(pictures) / facts["temperature"]).softmax(dim=1)[:, positive]
            rows += zip(map(str, batch), probabilities.tolist(), strict=True)
    with Path(table).open("w", newline="") as file:
        csv.writer(file).writerows([("path", "probability"), *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
