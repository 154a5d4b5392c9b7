"""Copies and overlapping crops among pictures."""

# Here, where options read them without what finds copies.
CLUSTERED = ("near_duplicates", "overlap")
LOOKED_FOR = ("exact", *CLUSTERED)  # counterparts of test images in training
