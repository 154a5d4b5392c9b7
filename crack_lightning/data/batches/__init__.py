"""Pictures as batches of tensors."""
