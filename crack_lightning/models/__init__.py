"""Backbones, their weights, the classifier, the crack map, and their checkpoints."""
