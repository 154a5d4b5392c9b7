"""The peer of benchmarks/features.py: a plain Lightning script, as its tutorials have it.

    python benchmarks/plain_loop.py ROOT [--epochs 5] [--workers 2]

ROOT holds train/ val/ test/ with a folder a class. ImageFolder, PIL transforms, a DataLoader with worker processes that
persist, a frozen MobileNetV2 in eval mode, a linear head, Adam, validation each epoch, the best checkpoint tested. The
last line is a JSON object of test accuracy and the seconds of its parts.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

STARTED = time.perf_counter()

import torch  # noqa: E402
from lightning.pytorch import LightningModule, Trainer, seed_everything  # noqa: E402
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402
from torchmetrics.functional import accuracy  # noqa: E402
from torchvision import transforms  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402
from torchvision.models import mobilenet_v2  # noqa: E402

from crack_lightning.models.weights import resolve_weights  # noqa: E402

IMPORTED = time.perf_counter()
SIZE = 180
NORMALISE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class PlainTask(LightningModule):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(1280, 2))

    def train(self, mode: bool = True) -> "PlainTask":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def _step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss = nn.functional.cross_entropy(logits, labels)
        hits = accuracy(logits.argmax(1), labels, task="multiclass", num_classes=2)
        self.log_dict({f"{stage}/loss": loss, f"{stage}/accuracy": hits}, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._step(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.head.parameters(), lr=1e-3)


def loaders(root: Path, workers: int) -> dict[str, DataLoader]:
    plain = [transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), NORMALISE]
    augmented = [
        plain[0],
        transforms.RandomHorizontalFlip(),
        transforms.RandomRotation(72, transforms.InterpolationMode.BILINEAR),
        *plain[1:],
    ]
    return {
        split: DataLoader(
            ImageFolder(str(root / split), transforms.Compose(augmented if split == "train" else plain)),
            batch_size=64,
            shuffle=split == "train",
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        for split in ("train", "val", "test")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seed_everything(0, verbose=False)
    model = mobilenet_v2()
    state, _ = resolve_weights("mobilenet_v2", "IMAGENET1K_V1")
    model.load_state_dict(state or {}, strict=False)  # all but torchvision's own head, which is not used
    batches = loaders(options.root, options.workers)
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="val/loss")
        trainer = Trainer(
            max_epochs=options.epochs,
            accelerator="cpu",
            callbacks=[best, EarlyStopping("val/loss")],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        ready = time.perf_counter()
        trainer.fit(PlainTask(model.features), batches["train"], batches["val"])
        fitted = time.perf_counter()
        (figures,) = trainer.test(ckpt_path="best", dataloaders=batches["test"], verbose=False)
    ended = time.perf_counter()
    seconds = {"imports": IMPORTED - STARTED, "build": ready - IMPORTED, "fit": fitted - ready, "test": ended - fitted}
    print(json.dumps({"accuracy": figures["test/accuracy"], **seconds}))


if __name__ == "__main__":
    main()
