"""Copies and overlapping crops among pictures."""
