"""Finds what is wrong or remarkable in a folder of pictures."""
