"""A project: a folder with photographs, the cracks that were found in them, and people's corrections."""
