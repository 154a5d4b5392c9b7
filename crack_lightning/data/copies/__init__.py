"""Finds copies and overlapping crops among pictures."""
