"""Findings about a folder of pictures."""
