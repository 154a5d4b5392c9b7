"""Logs to TensorBoard everything but scalars: graph, pictures, curves and settings."""

import warnings
from collections.abc import Mapping

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from crack_lightning.data.batches.transforms import augment
from crack_lightning.system.vision import make_grid

PICTURE_COUNT = 32  # how many training pictures are shown


class TrainingPictures(Callback):
    """Logs the graph of the network, and a grid of training pictures with the augmentation of the run's first epoch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (logger := tensorboard_of(trainer)) is None or trainer.train_dataloader is None:
            return
        _log_graph(logger, pl_module)
        dataset = trainer.train_dataloader.dataset
        dataset = getattr(dataset, "pictures", dataset)  # a dataset of features has one of their pictures
        indices = torch.linspace(0, len(dataset) - 1, min(PICTURE_COUNT, len(dataset))).long().tolist()
        shown = [dataset[index, trainer.current_epoch] for index in indices]
        pictures, views = (torch.stack(column) for column in list(zip(*shown, strict=True))[:2])
        pictures = augment(pictures, views)
        logger.experiment.add_image("train/augmented", make_grid(pictures, nrow=8), trainer.current_epoch)


def _log_graph(logger: TensorBoardLogger, module: LightningModule) -> None:
    """Logs the graph; Lightning's `log_graph` would trace and check it three times, and again before the test."""
    example = module.example_input_array.to(module.device)  # type: ignore[union-attr]
    was_training = module.training
    module.eval()
    trace = torch.jit.trace_module(module, {"forward": example}, check_trace=False)
    module.train(was_training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning that a traced module is not traced again
        logger.experiment.add_graph(trace, example)


def tensorboard_of(trainer: Trainer) -> TensorBoardLogger | None:
    """Returns the run's TensorBoard logger, or None if there is none or this is not the process that writes."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0] if loggers and trainer.is_global_zero else None


def log_test(
    logger: TensorBoardLogger,
    *,
    pictures: Mapping[str, bytes],
    probabilities: Tensor,
    targets: Tensor,
    settings: Mapping[str, object],
    metrics: Mapping[str, float],
    epoch: int,
) -> None:
    """Logs the test's plots and PR curve, and the HPARAMS row with the final metrics.

    `pictures` maps names to PNG files; `settings` may be nested; `probabilities` (N,) are those of the positive class;
    `targets` (N,) are 1 for the positive class.
    """
    writer = logger.experiment
    writer.add_pr_curve("test/precision_recall", targets, probabilities, epoch)  # reopens the file after the test
    for name, picture in pictures.items():
        # The PNG itself: add_image would decode and encode it again, and add_figure would draw it a second time.
        image = Summary.Image(encoded_image_string=picture)
        writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=f"test/{name}", image=image)]), epoch)
    # The prefix keeps these values, which are logged at step 0, out of the curves of the metrics.
    logger.log_hyperparams(dict(settings), {f"final/{name}": value for name, value in metrics.items()})
    logger.save()
    writer.flush()
