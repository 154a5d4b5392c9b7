"""Reads any image file as an upright RGB picture."""
