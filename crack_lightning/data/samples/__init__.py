"""Finds the pictures of a data set, their classes, masks, groups and splits."""
