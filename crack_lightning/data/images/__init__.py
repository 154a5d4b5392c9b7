"""Reads image files of any format as upright RGB pictures, and finds damaged ones."""
