"""Turns pictures into batches of tensors."""
