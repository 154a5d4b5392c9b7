"""Backbones, their weights, the classifier and its checkpoint."""
