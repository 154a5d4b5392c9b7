"""Predictions of checkpoints for pictures, their explanation and their evaluation."""
