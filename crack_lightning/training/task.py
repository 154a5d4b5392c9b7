"""The LightningModule that trains the classifier: loss, metrics, optimiser and checkpoints."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from crack_lightning.errors import UserError
from crack_lightning.evaluation.metrics import binary_metrics
from crack_lightning.models.checkpoint import FACTS_KEY, checkpoint_facts
from crack_lightning.models.classifier import CrackClassifier
from crack_lightning.training.checkpoints import checkpoint_to_test
from crack_lightning.training.optimizers import build_optimizer, build_scheduler
from crack_lightning.training.options import OptimizerOptions, SchedulerOptions

STAGES = ("train", "val", "test")
METRIC_KEY = "metric_to_step_on"  # in checkpoints: the metric for the step that ReduceLROnPlateau still has to take

Batch = tuple[Tensor, Tensor]
# Loss (), probabilities of the positive class (N,) and targets (N,), which are 1 for the positive class.
EvaluatedBatch = tuple[Tensor, Tensor, Tensor]


class CrackTask(LightningModule):
    """Trains the classifier by cross-entropy and computes the metrics of training, validation and test.

    Batches are (pictures (N, 3, h, w) or pooled features (N, channels), labels (N,)). `seed` fixes the dropout of each
    batch, so that a resumed run continues as an uninterrupted one would; with None, dropout is random. `class_weights`
    (2,) are the weights of the classes in the training loss, in the order of the logits. `provenance` (plain values) is
    written to the checkpoint. After a test, `test_probabilities` (N,) are those of the positive class.
    """

    def __init__(
        self,
        classifier: CrackClassifier,
        *,
        optimizer: OptimizerOptions,
        scheduler: SchedulerOptions | None = None,
        seed: int | None = None,
        class_weights: Sequence[float] | None = None,
        provenance: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.optimizer_options = optimizer
        self.scheduler_options = scheduler if scheduler is not None and scheduler.name is not None else None
        self.seed = seed
        self.class_weights: Tensor | None
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.provenance = dict(provenance or {})
        metrics = binary_metrics(classifier.decision)
        self.train_metrics = MetricCollection({"accuracy": metrics["accuracy"].clone()}, prefix="train/")
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self.losses = nn.ModuleDict({f"{stage}_loss": MeanMetric() for stage in STAGES})
        self.test_probabilities = torch.empty(0)
        self._recorded: dict[str, list[EvaluatedBatch]] = {stage: [] for stage in STAGES}  # not yet added to metrics
        self._metric_to_step_on: float | None = None
        size = classifier.image_size
        self.example_input_array = torch.zeros(1, 3, size, size, dtype=torch.uint8)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Reseed before every batch, because a resumed run draws other random numbers between batches.
        if self.seed is not None:
            parts = f"{self.seed}:{self.current_epoch}:{batch_idx}:{self.global_rank}"
            self._seed_generator(zlib.crc32(parts.encode()))

    def _seed_generator(self, seed: int) -> None:
        # On the CPU, torch.manual_seed takes a hundred times as long, because it also seeds every other type of device.
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self._record_batch("train", batch)
        self._check_finite(loss, f"training step {self.global_step}")
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.trainer.is_last_batch or self.trainer.should_stop:
            self._log_metrics("train", self.train_metrics)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss = self._record_batch("val", batch)
        self._check_finite(loss, f"validation step {batch_idx} after training step {self.global_step}")

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val", self.val_metrics)

    def on_test_start(self) -> None:
        self._recorded["test"].clear()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._record_batch("test", batch)

    def on_test_epoch_end(self) -> None:
        self.test_probabilities = torch.cat([probabilities.cpu() for _, probabilities, _ in self._recorded["test"]])
        self._log_metrics("test", self.test_metrics)

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.optimizer_options, self.classifier)
        if self.scheduler_options is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": build_scheduler(self.scheduler_options, optimizer)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[FACTS_KEY] = checkpoint_facts(self.classifier, self.provenance)
        # Only ReduceLROnPlateau has a monitor.
        if self.scheduler_options is not None and self.scheduler_options.monitor is not None:
            checkpoint[METRIC_KEY] = float(self.trainer.callback_metrics[self.scheduler_options.monitor])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._metric_to_step_on = checkpoint.get(METRIC_KEY)

    def on_train_start(self) -> None:
        # Lightning saves the checkpoint before it steps ReduceLROnPlateau, and does not make up that step on resuming.
        if self._metric_to_step_on is not None:
            scheduler: Any = self.lr_schedulers()
            scheduler.step(self._metric_to_step_on)
            self._metric_to_step_on = None

    def logits(self, inputs: Tensor) -> Tensor:
        """Returns logits (N, 2) of pictures (N, 3, h, w) or of pooled features (N, channels)."""
        return self.classifier(inputs) if inputs.ndim == 4 else self.classifier.classify(inputs)

    def rebuild_test_metrics(self) -> None:
        """Rebuilds the test metrics for the classifier's current decision."""
        self.test_metrics = binary_metrics(self.classifier.decision, prefix="test/").to(self.device)

    def _record_batch(self, stage: str, batch: Batch) -> Tensor:
        """Returns the loss () of a batch and records its results for the metrics."""
        loss, probabilities, targets = self._loss_and_probabilities(batch)
        self._recorded[stage].append((loss.detach(), probabilities, targets))
        return loss

    def _loss_and_probabilities(self, batch: Batch) -> EvaluatedBatch:
        inputs, labels = batch
        logits = self.logits(inputs)
        loss = functional.cross_entropy(logits, labels, self.class_weights if self.training else None)
        probabilities = self.classifier.positive_probabilities(logits.detach())
        return loss, probabilities, (labels == self.classifier.decision.positive_index).long()

    def _log_metrics(self, stage: str, metrics: MetricCollection) -> None:
        """Adds all batches since the last call to the metrics, and logs the metrics for the epoch."""
        if not self._recorded[stage]:
            return
        losses, probabilities, targets = zip(*self._recorded[stage], strict=True)
        self._recorded[stage].clear()
        loss: Any = self.losses[f"{stage}_loss"]
        loss.update(torch.stack(losses), torch.tensor([len(t) for t in targets], device=self.device))
        metrics.update(torch.cat(probabilities), torch.cat(targets))
        # Lightning computes the metrics at the end of the epoch; torchmetrics gathers them from all processes itself.
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=stage == "val")
        self.log_dict(metrics, on_step=False, on_epoch=True)

    def _check_finite(self, loss: Tensor, where: str) -> None:
        if not torch.isfinite(loss):
            path = checkpoint_to_test(self.trainer)
            raise UserError(
                f"the loss is {loss.item()} at {where} (epoch {self.current_epoch + 1}): lower optimizer.lr="
                f"{self.optimizer_options.lr:g} or use trainer.precision=32-true. "
                + (f"The last good checkpoint is {path}" if path else "No epoch was finished: there is no checkpoint")
            )
