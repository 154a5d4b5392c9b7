"""What counts as a counterpart of a picture, by name."""

CLUSTERED = ("near_duplicates", "overlap")
LOOKED_FOR = ("exact", *CLUSTERED)  # counterparts of test images in training
