"""Which pictures a data set has, their classes, groups and splits."""
