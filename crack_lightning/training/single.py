"""From many processes back to one."""

import torch
from lightning.pytorch import Trainer


def leave_group(trainer: Trainer) -> Trainer | None:
    """A trainer that tests in this process alone; None in all processes but the first.

    Testing in several would count some images twice, since every process gets as many.
    """
    if trainer.world_size == 1:
        return trainer
    trainer.strategy.barrier("trained")
    device = trainer.strategy.root_device
    first = trainer.is_global_zero
    torch.distributed.destroy_process_group()
    if not first:
        return None
    return Trainer(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        precision=trainer.precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=trainer.progress_bar_callback is not None,
        enable_model_summary=False,
        limit_test_batches=trainer.limit_test_batches,
    )
