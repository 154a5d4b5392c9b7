"""The same network by other machinery."""
