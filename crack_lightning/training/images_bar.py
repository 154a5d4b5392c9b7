"""Shows the progress of Lightning: images done, images per second, time left."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import Progress, TaskID

from crack_lightning.system.progress import bar


class ImagesBar(ProgressBar):
    """A progress bar for each pass over the images, shown after its first batch, when all log lines are printed."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._shown = ""
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        last = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
        name = f"epoch {trainer.current_epoch + 1}{last}"
        self._advance(name, batch, trainer.train_dataloader, trainer.num_training_batches)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self._advance("validating", batch, trainer.val_dataloaders, trainer.num_val_batches)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self._advance("testing", batch, trainer.test_dataloaders, trainer.num_test_batches)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self._advance("computing features", batch, trainer.predict_dataloaders, trainer.num_predict_batches)

    def on_train_epoch_end(self, *_: Any) -> None:
        self._close()

    def on_validation_end(self, *_: Any) -> None:
        self._close()

    def on_test_end(self, *_: Any) -> None:
        self._close()

    def on_predict_end(self, *_: Any) -> None:
        self._close()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def _advance(self, name: str, batch: Any, loader: Any, batches: Any) -> None:
        if not self._enabled:
            return
        count = len(batch[-1])
        if self._bar is None or name != self._shown:
            self._close()
            self._shown, self._bar = name, bar("images")
            self._bar.start()
            batches = batches[0] if isinstance(batches, list) else batches
            images_per_process = -(-len(loader.dataset) // self.trainer.world_size)
            self._task = self._bar.add_task(name, total=min(images_per_process, batches * count))
        self._bar.update(self._task, advance=count)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
