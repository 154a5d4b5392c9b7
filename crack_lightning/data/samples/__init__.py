"""The pictures of a data set, their classes, groups and splits."""
