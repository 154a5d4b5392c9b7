"""What TensorBoard shows beside the scalars."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.utils import make_grid

SHOWN = 32  # training pictures


class TrainingPictures(Callback):
    """A grid of training pictures as the network sees them in the first epoch of the run."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (logger := tensorboard_of(trainer)) is None or trainer.train_dataloader is None:
            return
        dataset = trainer.train_dataloader.dataset
        dataset = getattr(dataset, "pictures", dataset)  # behind features stand the pictures they were made of
        places = torch.linspace(0, len(dataset) - 1, min(SHOWN, len(dataset))).long().tolist()
        pictures = torch.stack([dataset[place, trainer.current_epoch][0] for place in places])
        logger.experiment.add_image("train/augmented", make_grid(pictures, nrow=8), trainer.current_epoch)


def tensorboard_of(trainer: Trainer) -> TensorBoardLogger | None:
    """The run's TensorBoard logger, if it has one that writes."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0] if loggers and trainer.is_global_zero else None


def log_test(
    logger: TensorBoardLogger,
    *,
    figures: Mapping[str, Figure],
    probabilities: Tensor,
    targets: Tensor,
    settings: Mapping[str, Any],
    metrics: Mapping[str, float],
    epoch: int,
) -> None:
    """The test's figures and PR curve, and the HPARAMS row with the final metrics.

    `settings` may be nested; `probabilities` (N,) of the positive class, `targets` (N,) 1 for positive.
    """
    writer = logger.experiment
    for name, figure in figures.items():
        writer.add_figure(f"test/{name}", figure, epoch)
    writer.add_pr_curve("test/precision_recall", targets, probabilities, epoch)
    # Under names of their own: at step 0 they would be drawn into the curves.
    logger.log_hyperparams(dict(settings), {f"final/{name}": value for name, value in metrics.items()})
    logger.save()
    writer.flush()
