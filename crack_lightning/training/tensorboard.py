"""Logs to TensorBoard what it shows beside the scalars: graph, pictures, curves and settings."""

import warnings
from collections.abc import Mapping

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from crack_lightning.data.batches.transforms import augmented
from crack_lightning.system.vision import make_grid

SHOWN = 32  # training pictures


class TrainingPictures(Callback):
    """Logs the network as a graph, and a grid of training pictures as it sees them in the first epoch of the run."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (logger := tensorboard_of(trainer)) is None or trainer.train_dataloader is None:
            return
        _log_graph(logger, pl_module)
        dataset = trainer.train_dataloader.dataset
        dataset = getattr(dataset, "pictures", dataset)  # features come with the pictures they were computed from
        places = torch.linspace(0, len(dataset) - 1, min(SHOWN, len(dataset))).long().tolist()
        shown = [dataset[place, trainer.current_epoch] for place in places]
        pictures, views = (torch.stack(column) for column in list(zip(*shown, strict=True))[:2])
        pictures = augmented(pictures, views)
        logger.experiment.add_image("train/augmented", make_grid(pictures, nrow=8), trainer.current_epoch)


def _log_graph(logger: TensorBoardLogger, module: LightningModule) -> None:
    """Logs the graph; Lightning's `log_graph` would trace and check three times, and again before the test."""
    example = module.example_input_array.to(module.device)  # type: ignore[union-attr]
    training = module.training
    module.eval()
    trace = torch.jit.trace_module(module, {"forward": example}, check_trace=False)
    module.train(training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a traced module is not traced again
        logger.experiment.add_graph(trace, example)


def tensorboard_of(trainer: Trainer) -> TensorBoardLogger | None:
    """Returns the run's TensorBoard logger; None where it has none or this process does not write."""
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

    `pictures` are PNG files by name; `settings` may be nested; `probabilities` (N,) of the positive class,
    `targets` (N,) 1 for positive.
    """
    writer = logger.experiment
    writer.add_pr_curve("test/precision_recall", targets, probabilities, epoch)  # opens the file again after the test
    for name, picture in pictures.items():
        # As it is: add_image would decode and encode it again, add_figure draw it a second time.
        image = Summary.Image(encoded_image_string=picture)
        writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=f"test/{name}", image=image)]), epoch)
    # Under names of their own: at step 0 they would be drawn into the curves.
    logger.log_hyperparams(dict(settings), {f"final/{name}": value for name, value in metrics.items()})
    logger.save()
    writer.flush()
