"""What is learned and how: the LightningModule around the classifier."""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional
from torchmetrics import MetricCollection

from crack_lightning.models.checkpoint import FACTS_KEY, checkpoint_facts
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.report.metrics import binary_metrics
from crack_lightning.training.optimizers import OptimizerSpec, SchedulerSpec

METRIC_KEY = "metric_to_step_on"

Batch = tuple[Tensor, Tensor]


class CrackTask(LightningModule):
    """Cross-entropy over the classifier's logits, with metrics of training, validation and test.

    Batches are (pictures (N, 3, h, w) or pooled features (N, channels), labels (N,)).
    `seed` fixes dropout for each batch, so that a resumed
    run goes on as an unbroken one would have; None leaves it to chance. `provenance` (plain values) is kept
    in the checkpoint. After a test, `test_probabilities` (N,) holds the probability of the positive class.
    """

    def __init__(
        self,
        classifier: CrackClassifier,
        *,
        optimizer: OptimizerSpec,
        scheduler: SchedulerSpec | None = None,
        seed: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.optimizer_spec = optimizer
        self.scheduler_spec = scheduler
        self.seed = seed
        self.provenance = dict(provenance or {})
        metrics = binary_metrics(classifier.threshold)
        self.train_accuracy = metrics["accuracy"].clone()
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self.test_probabilities = torch.empty(0)
        self._test_batches: list[Tensor] = []
        self._metric_to_step_on: float | None = None
        size = classifier.image_size
        self.example_input_array = torch.zeros(1, 3, size, size, dtype=torch.uint8)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # For every batch: what else draws random numbers between them differs in a resumed run.
        if self.seed is not None:
            parts = f"{self.seed}:{self.current_epoch}:{batch_idx}:{self.global_rank}"
            torch.manual_seed(zlib.crc32(parts.encode()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, probability, target = self._evaluated(batch)
        self._check_finite(loss, f"training step {self.global_step}")
        self.train_accuracy.update(probability, target)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(target))
        self.log("train/accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss, probability, target = self._evaluated(batch)
        self._check_finite(loss, f"validation step {batch_idx} after training step {self.global_step}")
        self.val_metrics.update(probability, target)
        self.log("val/loss", loss, prog_bar=True, sync_dist=True, batch_size=len(target))

    def on_validation_epoch_end(self) -> None:
        self._log_metrics(self.val_metrics)

    def on_test_start(self) -> None:
        self._test_batches.clear()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        loss, probability, target = self._evaluated(batch)
        self.test_metrics.update(probability, target)
        self._test_batches.append(probability.cpu())
        self.log("test/loss", loss, sync_dist=True, batch_size=len(target))

    def on_test_epoch_end(self) -> None:
        self.test_probabilities = torch.cat(self._test_batches)
        self._log_metrics(self.test_metrics)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer_spec.build(self.classifier)
        if self.scheduler_spec is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.scheduler_spec.build(optimizer)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[FACTS_KEY] = checkpoint_facts(self.classifier, self.provenance)
        # Only ReduceLROnPlateau watches a figure.
        if self.scheduler_spec is not None and self.scheduler_spec.monitor is not None:
            checkpoint[METRIC_KEY] = float(self.trainer.callback_metrics[self.scheduler_spec.monitor])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._metric_to_step_on = checkpoint.get(METRIC_KEY)

    def on_train_start(self) -> None:
        # Lightning saves before a schedule that watches a metric is stepped, and leaves the step out on resuming.
        if self._metric_to_step_on is not None:
            scheduler: Any = self.lr_schedulers()
            scheduler.step(self._metric_to_step_on)
            self._metric_to_step_on = None

    def _evaluated(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (), probability of the positive class (N,), target (N,) with 1 for positive."""
        inputs, labels = batch
        # Pictures have four dimensions, features of a frozen backbone two.
        logits = self.classifier(inputs) if inputs.ndim == 4 else self.classifier.classify(inputs)  # (N, 2)
        loss = functional.cross_entropy(logits, labels)
        positive = self.classifier.positive_index
        probability = logits.detach().float().softmax(dim=1)[:, positive]
        return loss, probability, (labels == positive).long()

    def _check_finite(self, loss: Tensor, where: str) -> None:
        if not torch.isfinite(loss):
            kept = getattr(self.trainer.checkpoint_callback, "best_model_path", "")
            raise ValueError(
                f"the loss is {loss.item()} at {where} (epoch {self.current_epoch + 1}): lower optimizer.lr="
                f"{self.optimizer_spec.lr:g} or use trainer.precision=32-true. "
                + (f"The last good checkpoint is {kept}" if kept else "No epoch was finished: no checkpoint is left")
            )

    def _log_metrics(self, metrics: MetricCollection) -> None:
        self.log_dict(metrics.compute())  # torchmetrics gathers from all processes itself
        metrics.reset()
